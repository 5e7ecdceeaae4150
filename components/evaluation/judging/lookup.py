"""Numbers of an evaluation by their path, or why they cannot be used.

An evaluation that was read from its file has the right types, but it may lack an arm or a metric,
and hold NaN. One that was built without validation may lack anything, and must not pass a gate
either: so every number that a gate reads is reached by its path, and checked.
"""

import math
from typing import NamedTuple

from components.shared.results import ArmName, CandidateResult, Evaluation

Path = tuple[str | int, ...]
"""Names of fields, keys of mappings and positions in lists."""


class UnusableError(Exception):
    """A number is missing, not finite or impossible; the message names it by its path."""


class Located(NamedTuple):
    """A part of an evaluation, and where in it that is."""

    path: Path
    value: object
    """``None`` where it is missing."""

    def name(self, *path: str | int) -> str:
        """A path below this part in words, such as ``arms.teacher.latency[0].p95.value``."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path + path)
        return "".join(parts).removeprefix(".")

    def number(self, *path: str | int, low: float = -math.inf, high: float = math.inf) -> float:
        """The finite number at a path below this part, ``low`` to ``high``.

        Raises:
            UnusableError: it is missing, not a finite number, or out of range.
        """
        value = self._at(*path)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UnusableError(f"{self.name(*path)} is {value!r}, not a number")
        if not math.isfinite(value):
            raise UnusableError(f"{self.name(*path)} is {value}")
        if not low <= value <= high:
            limits = f"between {low:g} and {high:g}" if high < math.inf else f"{low:g} or more"
            raise UnusableError(f"{self.name(*path)} is {value:g}, not {limits}")
        return value

    def positive(self, *path: str | int) -> float:
        """The finite number above 0 at a path below this part."""
        value = self.number(*path)
        if value <= 0:
            raise UnusableError(f"{self.name(*path)} is {value:g}, not above 0")
        return value

    def items(self, *path: str | int) -> "list[Located]":
        """The parts of the list at a path below this part."""
        value = self._at(*path)
        if not isinstance(value, list):
            raise UnusableError(f"{self.name(*path)} is {value!r}, not a list")
        return [Located((*self.path, *path, position), item) for position, item in enumerate(value)]

    def _at(self, *path: str | int) -> object:
        """What is at a path; anything may be missing on the way."""
        value = self.value
        for depth in range(len(path) + 1):
            if depth:
                value = _child(value, path[depth - 1])
            if value is None:
                raise UnusableError(f"{self.name(*path[:depth])} is missing")
        return value


def whole(evaluation: Evaluation) -> Located:
    """All of an evaluation."""
    return Located((), evaluation)


def candidate_of(candidate: CandidateResult) -> Located:
    """A candidate, with what was measured and its paired counts."""
    return Located(("candidates", candidate.name), candidate)


def measured(candidate: CandidateResult) -> Located:
    """What was measured of a candidate."""
    return Located(("candidates", candidate.name, "measured"), candidate.measured)


def arm_of(evaluation: Evaluation, arm: ArmName) -> Located:
    """What was measured of an arm; of the teacher also where it was not run here."""
    if arm == "teacher" and evaluation.served_teacher is not None:
        return Located(("served_teacher",), evaluation.served_teacher)
    return Located(("arms", arm), evaluation.arms.get(arm))


def _child(value: object, part: str | int) -> object:
    if isinstance(part, int):
        return value[part] if isinstance(value, list) and part < len(value) else None
    return value.get(part) if isinstance(value, dict) else getattr(value, part, None)
