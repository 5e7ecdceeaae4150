"""Expectations of single rows, judged by Great Expectations batch by batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import great_expectations.expectations as gxe
import numpy as np
from great_expectations.core import ExpectationValidationResult
from great_expectations.expectations.expectation import Expectation

from components.data_validation.custom.frames import frame_of
from components.data_validation.judge import Judge, exception_in
from components.shared.blocks import Block
from components.shared.dataset import SplitName
from components.shared.recipe.expectations import ExpectationSpec, RowExpectation

_EXAMPLES = 5


def as_great_expectation(spec: ExpectationSpec) -> Expectation:
    """Great Expectations' own object."""
    name = "".join(part.title() for part in spec.expectation.split("_"))
    kind: type[Expectation] = getattr(gxe, name)
    return kind(**spec.arguments)


@dataclass
class Merged:
    """What an expectation came to in all batches so far."""

    spec: RowExpectation
    looked_at: int = 0
    missing: int = 0
    unexpected: int = 0
    examples: list[Any] = field(default_factory=list)
    """A few offending values; none of sensitive columns."""
    raised: tuple[str, str] | None = None
    """Kind and message of the first exception."""
    last: ExpectationValidationResult | None = None

    @property
    def holds(self) -> bool:
        """Whether enough of the values that were looked at are as expected, and there were any."""
        if not self.looked_at:
            return False
        return (self.looked_at - self.unexpected) / self.looked_at >= self.spec.mostly

    def add(self, result: ExpectationValidationResult, hidden: bool) -> list[int]:
        """Merge the result of a batch; the places of the offending rows in it."""
        raised = exception_in(result)
        if raised:
            self.raised = self.raised or raised
            return []
        measured = result.result
        missing = int(measured.get("missing_count") or 0)
        self.missing += missing
        self.looked_at += int(measured["element_count"]) - missing
        self.unexpected += int(measured["unexpected_count"])
        if not hidden:
            room = _EXAMPLES - len(self.examples)
            self.examples += map(_plain, (measured.get("partial_unexpected_list") or [])[:room])
        places: list[int] = measured.get("unexpected_index_list") or []
        if len(places) != measured["unexpected_count"]:
            self.raised = ("Error", "Great Expectations did not say which rows it means")
        self.last = result
        return places

    def result(self) -> ExpectationValidationResult | None:
        """The whole as one result of Great Expectations, without lists of rows."""
        if self.last is None:
            return None
        share = 100 * self.unexpected / max(self.looked_at, 1)
        self.last.success = self.holds and self.raised is None
        self.last.result = {
            "element_count": self.looked_at + self.missing,
            "missing_count": self.missing,
            "missing_percent": 100 * self.missing / max(self.looked_at + self.missing, 1),
            "unexpected_count": self.unexpected,
            "unexpected_percent": share,
            "unexpected_percent_nonmissing": share,
            "unexpected_percent_total": 100
            * self.unexpected
            / max(self.looked_at + self.missing, 1),
            "partial_unexpected_list": self.examples,
        }
        return self.last


class RowsOfTheRecipe:
    """All expectations of single rows, by their numbers in the recipe."""

    def __init__(
        self, specs: Mapping[int, RowExpectation], sensitive: list[str], judge: Judge
    ) -> None:
        """Prepare.

        Args:
            specs: by number.
            sensitive: columns whose values are not kept.
            judge: Great Expectations.
        """
        self.merged = {number: Merged(spec) for number, spec in specs.items()}
        self._expectations = {
            number: as_great_expectation(spec)  # type: ignore[arg-type]
            for number, spec in specs.items()
        }
        self._sensitive, self._judge = set(sensitive), judge
        self._groups: dict[tuple[SplitName, ...], list[int]] = {}
        for number, spec in specs.items():
            self._groups.setdefault(tuple(spec.splits), []).append(number)

    def judge(self, block: Block) -> dict[int, np.ndarray[Any, np.dtype[np.bool_]]]:
        """The rows of a block that are not as expected, by number of expectation."""
        masks = {number: np.zeros(block.table.num_rows, bool) for number in self.merged}
        for splits, numbers in self._groups.items():
            inside = block.inside(splits)
            places = np.flatnonzero(inside)
            if not len(places):
                continue
            columns = [name for number in numbers for name in self.merged[number].spec.columns]
            frame = frame_of(block.table, columns)
            results = self._judge.judge(
                "recipe",
                frame if inside.all() else frame[inside].reset_index(drop=True),
                [self._expectations[number] for number in numbers],
                "COMPLETE",
            )
            for number, result in zip(numbers, results, strict=True):
                merged = self.merged[number]
                if result is None:
                    merged.raised = merged.raised or ("Error", "Great Expectations gave no result")
                    continue
                hidden = not self._sensitive.isdisjoint(merged.spec.columns)
                masks[number][places[merged.add(result, hidden)]] = True
        return masks


def _plain(value: Any) -> Any:
    """A value without NumPy's types, which show in messages."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value
