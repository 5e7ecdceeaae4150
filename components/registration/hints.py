"""Commands that messages tell a person to type."""

import shlex


def command(verb: str, model: str, alias: str, *arguments: str) -> str:
    """``kubedistill VERB MODEL``, with the alias where it is not the default.

    Args:
        verb: the command.
        model: name of the registered model.
        alias: the alias that serving reads.
        arguments: what else is typed.
    """
    named = () if alias == "champion" else ("--alias", alias)
    return shlex.join(["kubedistill", verb, model, *arguments, *named])
