"""The expectations of the recipe while the data are read, and what came of them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from components.data_validation.custom.figures import MOST_DISTINCT, Figures
from components.data_validation.evidence import Evidence
from components.data_validation.findings import count
from components.data_validation.quarantine.policies import own_name
from components.shared.blocks import Block
from components.shared.recipe import ValidationSpec
from components.shared.recipe.expectations import ColumnExpectation, RowExpectation
from components.shared.results.validation import CheckResult, Status, status_of

if TYPE_CHECKING:  # Great Expectations takes seconds and memory; see OwnExpectations.great
    from great_expectations.core import ExpectationValidationResult

    from components.data_validation.custom.rows import Merged
    from components.data_validation.judge import Judge, Results

_COLUMNS = ("column", "column_A", "column_B")
_SHOWN = 200

Mask = npt.NDArray[np.bool_]


class OwnExpectations:
    """Great Expectations is loaded at once if there are some of single rows, else at the end."""

    def __init__(self, spec: ValidationSpec, docs: Path) -> None:
        """Prepare.

        Args:
            spec: has the expectations.
            docs: folder for the pages.
        """
        self._spec, self._docs = spec, docs
        self._judge: Judge | None = None
        listed = dict(enumerate(spec.expectations))
        rows = {n: e for n, e in listed.items() if isinstance(e, RowExpectation)}
        self._of_columns = {n: e for n, e in listed.items() if isinstance(e, ColumnExpectation)}
        self._figures = {n: Figures(e) for n, e in self._of_columns.items()}
        self.columns = list(
            dict.fromkeys(name for expectation in listed.values() for name in expectation.columns)
        )
        self._rows = None
        if rows:
            from components.data_validation.custom.rows import RowsOfTheRecipe

            self._rows = RowsOfTheRecipe(rows, spec.sensitive, self.great)

    def judge(self, block: Block) -> dict[str, Mask]:
        """Rows of a block that are not as expected, by name of expectation."""
        if self._rows is None:
            return {}
        return {own_name(number): mask for number, mask in self._rows.judge(block).items()}

    def add(self, block: Block, kept: Mask) -> None:
        """Merge the figures of columns over the rows that are kept, shape (rows,)."""
        for figures in self._figures.values():
            inside = kept & block.inside(figures.spec.splits)
            if inside.any():
                column = block.table.column(figures.spec.column)
                figures.add(column if inside.all() else column.filter(inside))

    def restart(self) -> list[str]:
        """Forget the figures of columns; the columns that they are about, each once."""
        self._figures = {n: Figures(e) for n, e in self._of_columns.items()}
        return list(dict.fromkeys(e.column for e in self._of_columns.values()))

    @property
    def great(self) -> "Judge":
        """Great Expectations, loaded when it is first needed."""
        if self._judge is None:
            from components.data_validation.judge import Judge

            self._judge = Judge(self._docs)
        return self._judge

    def conclude(self, evidence: Evidence) -> list[CheckResult]:
        """The results, in the order of the recipe; they are put onto the pages too."""
        if not self._spec.expectations:
            return []
        from components.data_validation.custom.rows import as_great_expectation

        outcomes: list[CheckResult] = []
        published: Results = []
        for number, expectation in enumerate(self._spec.expectations):
            if self._rows is not None and isinstance(expectation, RowExpectation):
                merged = self._rows.merged[number]
                outcomes.append(_of_rows(number, merged, evidence))
                published.append(merged.result())
                continue
            figures = self._figures[number]
            (result,) = self.great.judge(
                "recipe", figures.frame(), [as_great_expectation(expectation)]
            )
            outcomes.append(_of_column(number, figures, result, evidence))
            if result is not None and evidence.hides(*expectation.columns):
                result.result = {}
            published.append(result)
        self.great.publish("recipe", published, [_rule(e) for e in self._spec.expectations])
        return outcomes


def _of_rows(number: int, merged: "Merged", evidence: Evidence) -> CheckResult:
    spec = merged.spec
    rule = _rule(spec)
    status: Status = "failed"
    hidden = evidence.hides(*spec.columns)
    tally = evidence.tally(own_name(number))
    if merged.raised is not None:
        message = f"{rule}: could not be checked ({merged.raised[0 if hidden else 1]})"
    elif not merged.looked_at:
        message = f"{rule}: there was no value to check"
    elif merged.holds and not (merged.unexpected and spec.on_failure == "quarantine"):
        status, message = "passed", rule
    else:
        status = status_of(spec.on_failure)
        shown = ", ".join(map(repr, merged.examples))
        such = f" (such as {shown})" if merged.examples and shown != "None" else ""
        message = (
            f"{count(merged.unexpected)} not as validation.expectations[{number}] says, {rule}"
            f"{such}{evidence.names(tally.examples, tally.rows)}; correct the values, or change "
            "the expectation"
        )
    return _result(number, spec, status, message, merged.unexpected)


def _of_column(
    number: int, figures: Figures, result: "ExpectationValidationResult | None", evidence: Evidence
) -> CheckResult:
    from components.data_validation.judge import exception_in

    spec, rule = figures.spec, _rule(figures.spec)
    hidden = evidence.hides(*spec.columns)
    raised = None if result is None else exception_in(result)
    status: Status = "failed"
    observed = None
    if figures.too_many:
        message = (
            f"{rule}: could not be checked, since {spec.column!r} has more than {MOST_DISTINCT} "
            "different values"
        )
    elif not figures.values:
        message = f"{rule}: there was no value to check"
    elif result is None:
        message = f"{rule}: Great Expectations gave no result"
    elif raised is not None:
        message = f"{rule}: could not be checked ({raised[0 if hidden else 1]})"
    else:
        found = result.result.get("observed_value")
        observed = None if hidden else _short(found)
        said = "" if hidden else f"; it is {observed}"
        if result.success is True:
            status, message = "passed", rule
        else:
            status = status_of(spec.on_failure)
            message = (
                f"not as validation.expectations[{number}] says, {rule}{said}; correct the data, "
                "or change the expectation"
            )
    return _result(number, spec, status, message, observed)


def _result(
    number: int,
    spec: RowExpectation | ColumnExpectation,
    status: Status,
    message: str,
    observed: int | float | str | None,
) -> CheckResult:
    return CheckResult(
        name=own_name(number),
        expectation=spec.expectation,
        column=" and ".join(spec.columns),
        status=status,
        message=message,
        observed=observed,
    )


def _rule(spec: RowExpectation | ColumnExpectation) -> str:
    """The expectation in the words of Great Expectations, with its arguments."""
    arguments = spec.arguments
    columns = " and ".join(repr(arguments.pop(key)) for key in _COLUMNS if key in arguments)
    words = spec.expectation.removeprefix("expect_").replace("_", " ")
    usual = {"mostly": 1.0, "strict_min": False, "strict_max": False, "or_equal": False}
    told = [f"{key} {value}" for key, value in arguments.items() if usual.get(key) != value]
    return f"{columns}: {words}" + (f" ({', '.join(told)})" if told else "")


def _short(value: object) -> int | float | str | None:
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
