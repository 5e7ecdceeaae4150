"""Markdown that GitHub and MLflow's pages show alike.

MLflow's pages convert it with Showdown in GitHub's flavour: a line break inside a paragraph shows,
so paragraphs are one line, and ``@name`` becomes a link, so aliases are written as code.
"""

import re
from collections.abc import Sequence

_SPECIAL = re.compile(
    r"(?P<mark>[\\`*\[\]#~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))"  # underscores in words are plain
    r"|[&<>|@$]|^[-+=:]|^\d+(?=[.)])"  # the last two would begin a list
)


def escape(text: str) -> str:
    """Text of users, data and recipes on one line, shown as it is."""
    return _SPECIAL.sub(_plain, " ".join(text.split()))


def clip(text: str, length: int) -> str:
    """At most ``length`` characters of a text, with an ellipsis where something is left out."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def code(text: str) -> str:
    """A name or digest as code; it must hold no backtick."""
    return f"`{text}`"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A table.

    Args:
        header: of each column.
        rows: cells, in Markdown.
        align: for each column ``l`` or ``r``.
    """
    rules = [{"l": ":--", "r": "--:"}[side] for side in align]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rules, *rows])


def bullets(items: Sequence[str]) -> str:
    """A list, one item a line."""
    return "\n".join(f"- {item}" for item in items)


def facts(items: Sequence[tuple[str, str]]) -> str:
    """A list of names in bold, each with its value."""
    return bullets([f"**{name}:** {value}" for name, value in items])


def _plain(match: re.Match[str]) -> str:
    """A backslash where both unescape it, otherwise entities."""
    if match["mark"]:
        return f"\\{match[0]}"
    return "".join(f"&#{ord(character)};" for character in match[0])
