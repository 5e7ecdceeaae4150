"""Cron expressions as Kubeflow reads them: six fields, the first of which is seconds.

Its parser (robfig/cron 1.2) takes five fields too, but as seconds to months, with the day of the
week left out. So five fields, which people mean as minutes to days of the week, get a 0 before.
"""

import re
from typing import NamedTuple

from components.shared.errors import UserError

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    words: dict[str, int]
    any_mark: str = "*"


_FIELDS = (
    _Field("second", 0, 59, {}),
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of the month", 1, 31, {}, "*?"),
    _Field("month", 1, 12, {word: number for number, word in enumerate(_MONTHS, 1)}),
    _Field("day of the week", 0, 6, {word: number for number, word in enumerate(_DAYS)}, "*?"),
)
_SHORTHANDS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_DAYS_OF_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def for_kubeflow(given: str) -> str:
    """An expression with six fields.

    Args:
        given: five fields as in crontab, six with seconds first, or a word such as ``@daily``.

    Raises:
        UserError: it is none; the message names the field.
    """
    text = given.strip().lower()
    if text.startswith("@"):
        if text not in _SHORTHANDS:
            raise _wrong(given, f"use one of {', '.join(_SHORTHANDS)}, or five fields")
        return _SHORTHANDS[text]
    parts = text.split()
    if len(parts) not in {5, 6}:
        raise _wrong(
            given,
            f"it has {len(parts)} fields; write five (minute, hour, day of the month, month, day "
            "of the week), or six with the second first",
        )
    parts = ["0", *parts] if len(parts) == 5 else parts
    values = [_values(given, field, part) for field, part in zip(_FIELDS, parts, strict=True)]
    _check_occurs(given, values, parts)
    return " ".join(parts)


def _values(given: str, field: _Field, part: str) -> set[int]:
    return {value for piece in part.split(",") for value in _piece(given, field, piece)}


def _piece(given: str, field: _Field, piece: str) -> range:
    """One of the alternatives of a field: a value, a range, or every so many of it."""
    span, slash, step_text = piece.partition("/")
    step = 1
    if slash:
        if not re.fullmatch(r"[1-9]\d{0,3}", step_text):
            raise _wrong(given, f"{field.name} {piece!r}: after / should be a number from 1 on")
        step = int(step_text)
    if span in set(field.any_mark):
        return range(field.least, field.most + 1, step)
    first_text, dash, last_text = span.partition("-")
    first = _number(given, field, first_text)
    last = _number(given, field, last_text) if dash else (field.most if slash else first)
    if last < first:
        raise _wrong(given, f"{field.name} {piece!r}: the range ends before it begins")
    return range(first, last + 1, step)


def _number(given: str, field: _Field, text: str) -> int:
    if text in field.words:
        return field.words[text]
    if field.name == "day of the week" and text == "7":
        raise _wrong(given, "day of the week 7: Kubeflow's week has 0 to 6; Sunday is 0")
    if not re.fullmatch(r"\d{1,4}", text) or not field.least <= int(text) <= field.most:
        words = f" or {next(iter(field.words))} to {list(field.words)[-1]}" if field.words else ""
        raise _wrong(
            given, f"{field.name} {text!r}: should be {field.least} to {field.most}{words}"
        )
    return int(text)


def _check_occurs(given: str, values: list[set[int]], parts: list[str]) -> None:
    """Days such as 30 February never come, and the schedule would wait for them without a word."""
    days, months = values[3], values[4]
    if parts[5][0] in "*?" and not any(min(days) <= _DAYS_OF_MONTHS[month - 1] for month in months):
        raise _wrong(given, "that day does not exist in that month")


def _wrong(given: str, why: str) -> UserError:
    return UserError(f"--cron {given!r}: {why}")
