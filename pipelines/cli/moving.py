"""``kubedistill promote``, ``reject``, ``rollback``, ``history --accept``: moves made by people."""

import contextlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from components.shared.errors import StepFailed, UserError
from pipelines.cli.console import print_json, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.registries import Chosen, as_command_failures

if TYPE_CHECKING:
    from components.registration.announcing import Announcer, Recorded
    from components.registration.promotion.commands import Done
    from components.registration.promotion.registered import Registered

_UNTOLD = "the registry is as it should be, but others do not know"


def promote_version(
    chosen: Chosen,
    version: str | None,
    reason: str | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Promote, and say what was done.

    Raises:
        UserError: the version may not be promoted; nothing was changed.
        StepFailed: MLflow or the lock cannot be reached.
    """
    from components.registration.promotion.commands import promote

    return _move(
        chosen,
        lambda model: promote(model, version, reason=reason, force=force, dry_run=dry_run),
        dry_run,
        as_json,
    )


def reject_version(
    chosen: Chosen, version: str | None, reason: str, dry_run: bool, as_json: bool
) -> int:
    """Reject, and say what was done.

    Raises:
        UserError: the version does not wait, or no reason is given; nothing was changed.
        StepFailed: MLflow or the lock cannot be reached.
    """
    from components.registration.promotion.commands import reject

    return _move(
        chosen,
        lambda model: reject(model, version, reason=reason, dry_run=dry_run),
        dry_run,
        as_json,
    )


def roll_back_to(
    chosen: Chosen, version: str | None, reason: str | None, dry_run: bool, as_json: bool
) -> int:
    """Roll back, and say what was done.

    Raises:
        UserError: there is no such former champion; nothing was changed.
        StepFailed: MLflow or the lock cannot be reached.
    """
    from components.registration.promotion.commands import roll_back

    return _move(
        chosen,
        lambda model: roll_back(model, version, reason=reason, dry_run=dry_run),
        dry_run,
        as_json,
    )


def accept_damaged(chosen: Chosen, reason: str, as_json: bool) -> int:
    """Let a damaged history go on.

    Raises:
        UserError: no reason is given, or the history is intact.
        StepFailed: MLflow or the lock cannot be reached.
    """
    from components.registration.promotion.commands import accept

    return _move(chosen, lambda model: accept(model, reason), False, as_json)


def _move(
    chosen: Chosen,
    move: Callable[["Registered"], "Done"],
    dry_run: bool,
    as_json: bool,
) -> int:
    from components.registration.promotion.registered import registered

    # What steps would log is for their log.
    with (
        as_command_failures(),
        contextlib.redirect_stdout(io.StringIO()),
        registered(chosen.registry) as model,
    ):
        done = _only(model, move) if dry_run else _followed(model, chosen, move)
    if as_json:
        made = done.entry and done.entry.move.model_dump(mode="json")
        print_json({"summary": done.summary, "version": done.version, "move": made})
    return ExitStatus.DONE


def _only(model: "Registered", move: Callable[["Registered"], "Done"]) -> "Done":
    done = move(model)
    say(done.summary)
    return done


def _followed(
    model: "Registered", chosen: Chosen, move: Callable[["Registered"], "Done"]
) -> "Done":
    """Move, tell others, and let KServe serve the champion, also where an earlier command could
    not. Who is told is known before anything moves, so that a crash in between loses no event."""
    from components.registration.announcing import Announcer

    recorded = _hooks(model, chosen)
    registry = recorded.registry or model.registry
    announcer = Announcer(model.client, model.ledger, registry, model.public_uri)
    announcer.listen(model.view)
    done = _only(model, move)
    if recorded.problem and recorded.registry:
        say(f"{recorded.problem}: followed is that of version {recorded.version}", style="yellow")
    _follow_up(model, announcer)
    if recorded.registry is None:
        raise _unknown_hooks(model, recorded)
    return done


def _hooks(model: "Registered", chosen: Chosen) -> "Recorded":
    """Webhooks and service of the recipe that is named, or else of the latest version's.

    Raises:
        UserError: a secret of the recipe that is named is missing. Where a model is named, that is
            only said after the move: to roll back takes no secret.
    """
    from components.registration.announcing import Recorded, recorded_registry
    from components.registration.hooks.webhook import check_hooks

    if not chosen.with_hooks:
        return recorded_registry(model.client, model.registry, model.view)
    check_hooks(chosen.registry.webhooks)
    return Recorded(chosen.registry)


def _follow_up(model: "Registered", announcer: "Announcer") -> None:
    from components.registration.hints import command
    from components.registration.hooks.kserve import ApplyFailed

    try:
        for failure in announcer.follow_up():
            say(failure, style="yellow")
    except (ApplyFailed, UserError) as error:
        champion, registry = _champion(model), model.registry
        again = "the next move or run tells them"
        if champion is not None:
            again = command("promote", registry.model, registry.alias, champion)
        raise StepFailed(f"{_UNTOLD}: {error}. Once that is mended: {again}") from error


def _unknown_hooks(model: "Registered", recorded: "Recorded") -> StepFailed:
    return StepFailed(
        f"{_UNTOLD}: {recorded.problem}, and no earlier one can be followed, so that it is not "
        "known who they are. Name the RECIPE instead of the MODEL: kubedistill promote RECIPE "
        f"{_champion(model) or 'VERSION'}"
    )


def _champion(model: "Registered") -> str | None:
    view = model.ledger.read()
    return view.aliases.get(model.registry.alias) if view else None
