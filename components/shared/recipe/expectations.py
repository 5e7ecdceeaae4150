"""Expectations written by hand: Great Expectations' names and arguments, with a policy each.

Supported are those that can be judged in bounded memory: of single rows, which are judged batch by
batch, and of whole columns, by figures that are merged.
"""

import difflib
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from components.shared.recipe.base import PositiveFloat, Spec
from components.shared.recipe.data import SplitName

Policy = Literal["fail", "warn"]
"""What follows where the data as a whole are not as they should be."""
RowPolicy = Literal["fail", "warn", "quarantine"]
"""What follows where rows are not as they should be; ``quarantine`` takes them out."""


def _not_warn(policy: Any) -> Any:
    if policy == "warn":
        raise ValueError(
            "warn is no choice here, since the next step that reads such a row ends with an error; "
            "take fail or quarantine"
        )
    return policy


StrictRowPolicy = Annotated[Literal["fail", "quarantine"], BeforeValidator(_not_warn)]
"""What follows where rows are such that no later step can use them."""
Value = bool | int | float | str


class _Expectation(Spec):
    expectation: str
    """Great Expectations' name of it."""
    splits: Annotated[list[SplitName], Field(min_length=1)] = ["labelled", "unlabelled", "test"]
    """The splits whose rows are looked at."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What Great Expectations takes."""
        own = {"expectation", "splits", "on_failure"}
        return self.model_dump(exclude=own, exclude_none=True)


class RowExpectation(_Expectation):
    """Of each row by itself."""

    mostly: PositiveFloat = 1.0
    """Share of the values that are looked at which have to be so, at most 1."""
    on_failure: RowPolicy = "fail"
    """``quarantine`` takes out every row that is not so, also where ``mostly`` tolerates it."""

    @model_validator(mode="after")
    def _share(self) -> "RowExpectation":
        if self.mostly > 1:
            raise ValueError(f"mostly is a share of the values, at most 1, not {self.mostly:g}")
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that it reads."""
        raise NotImplementedError


class _OfColumn(RowExpectation):
    column: str

    @property
    def columns(self) -> list[str]:
        return [self.column]


class NotNull(_OfColumn):
    """There is a value."""

    expectation: Literal["expect_column_values_to_not_be_null"]


class Null(_OfColumn):
    """There is no value."""

    expectation: Literal["expect_column_values_to_be_null"]


class Limits(Spec):
    """A range; an end that is not given is open."""

    min_value: float | None = None
    max_value: float | None = None
    strict_min: bool = False
    """Whether the least value itself is outside."""
    strict_max: bool = False

    @model_validator(mode="after")
    def _some(self) -> "Limits":
        if self.min_value is None and self.max_value is None:
            raise ValueError("needs min_value or max_value")
        if None not in (self.min_value, self.max_value) and self.min_value > self.max_value:  # type: ignore[operator]
            raise ValueError(f"min_value {self.min_value:g} is above max_value {self.max_value:g}")
        return self


class Between(_OfColumn, Limits):
    """The number is within a range."""

    expectation: Literal["expect_column_values_to_be_between"]


class InSet(_OfColumn):
    """The value is one of these."""

    expectation: Literal["expect_column_values_to_be_in_set"]
    value_set: Annotated[list[Value], Field(min_length=1)]


class NotInSet(_OfColumn):
    """The value is none of these."""

    expectation: Literal["expect_column_values_to_not_be_in_set"]
    value_set: Annotated[list[Value], Field(min_length=1)]


class MatchRegex(_OfColumn):
    """The text has a match of a regular expression."""

    expectation: Literal["expect_column_values_to_match_regex"]
    regex: Annotated[str, Field(min_length=1)]


class NotMatchRegex(_OfColumn):
    """The text has no match of a regular expression."""

    expectation: Literal["expect_column_values_to_not_match_regex"]
    regex: Annotated[str, Field(min_length=1)]


class Lengths(_OfColumn, Limits):
    """The text has so many characters."""

    expectation: Literal["expect_column_value_lengths_to_be_between"]


class _OfPair(RowExpectation):
    column_A: str  # noqa: N815 - Great Expectations' names
    column_B: str  # noqa: N815

    @property
    def columns(self) -> list[str]:
        return [self.column_A, self.column_B]


class PairGreater(_OfPair):
    """The first number is greater than the second."""

    expectation: Literal["expect_column_pair_values_a_to_be_greater_than_b"]
    or_equal: bool = False


class PairEqual(_OfPair):
    """The two values are equal."""

    expectation: Literal["expect_column_pair_values_to_be_equal"]


class ColumnExpectation(_Expectation):
    """Of a column as a whole."""

    column: str
    on_failure: Policy = "fail"

    @property
    def columns(self) -> list[str]:
        """The columns that it reads."""
        return [self.column]


class Minimum(ColumnExpectation, Limits):
    """The least number."""

    expectation: Literal["expect_column_min_to_be_between"]


class Maximum(ColumnExpectation, Limits):
    """The greatest number."""

    expectation: Literal["expect_column_max_to_be_between"]


class Mean(ColumnExpectation, Limits):
    """The mean of the numbers."""

    expectation: Literal["expect_column_mean_to_be_between"]


class Sum(ColumnExpectation, Limits):
    """The sum of the numbers."""

    expectation: Literal["expect_column_sum_to_be_between"]


class StandardDeviation(ColumnExpectation, Limits):
    """The sample standard deviation of the numbers."""

    expectation: Literal["expect_column_stdev_to_be_between"]


class DistinctInSet(ColumnExpectation):
    """No other value occurs."""

    expectation: Literal["expect_column_distinct_values_to_be_in_set"]
    value_set: Annotated[list[Value], Field(min_length=1)]


class DistinctContain(ColumnExpectation):
    """Each of these values occurs."""

    expectation: Literal["expect_column_distinct_values_to_contain_set"]
    value_set: Annotated[list[Value], Field(min_length=1)]


class DistinctEqual(ColumnExpectation):
    """Each of these values occurs, and no other."""

    expectation: Literal["expect_column_distinct_values_to_equal_set"]
    value_set: Annotated[list[Value], Field(min_length=1)]


class DistinctCount(ColumnExpectation, Limits):
    """How many different values there are."""

    expectation: Literal["expect_column_unique_value_count_to_be_between"]


_Known = (
    NotNull
    | Null
    | Between
    | InSet
    | NotInSet
    | MatchRegex
    | NotMatchRegex
    | Lengths
    | PairGreater
    | PairEqual
    | Minimum
    | Maximum
    | Mean
    | Sum
    | StandardDeviation
    | DistinctInSet
    | DistinctContain
    | DistinctEqual
    | DistinctCount
)

SUPPORTED = sorted(
    name
    for kind in _Known.__args__
    for name in kind.model_fields["expectation"].annotation.__args__
)

_ALL_VALUES = "needs all values of a column at once"
REFUSED = {
    "expect_column_median_to_be_between": f"{_ALL_VALUES}; use the mean",
    "expect_column_quantile_values_to_be_between": f"{_ALL_VALUES}; use "
    "expect_column_values_to_be_between with mostly",
    "expect_column_value_z_scores_to_be_less_than": "needs mean and deviation before the values; "
    "use expect_column_values_to_be_between",
    "expect_column_values_to_be_unique": "would keep every value of the column; ids are always "
    "checked to be unique (policies.duplicate_id)",
    "expect_compound_columns_to_be_unique": "would keep every value of the columns; rows with "
    "equal features are always looked for (policies.copied_test_row)",
    "expect_column_kl_divergence_to_be_less_than": "use validation.drift",
    "expect_column_values_to_be_increasing": "depends on the order of rows, which has no meaning",
    "expect_column_values_to_be_decreasing": "depends on the order of rows, which has no meaning",
    "expect_column_values_to_be_of_type": "types are always checked",
    "expect_column_values_to_be_in_type_list": "types are always checked",
    "expect_table_row_count_to_be_between": "use validation.min_rows",
    "expect_table_row_count_to_equal": "use validation.min_rows",
    "expect_column_to_exist": "a missing column is always an error",
    "expect_column_most_common_value_to_be_in_set": f"{_ALL_VALUES}; use "
    "expect_column_values_to_be_in_set with mostly",
}
"""Why some that Great Expectations has are not here, and what to use instead."""


def _known_name(value: Any) -> Any:
    """Refuse an unknown expectation in words, before the union is tried."""
    name = value.get("expectation") if isinstance(value, dict) else None
    if not isinstance(name, str) or name in SUPPORTED:
        return value
    if name in REFUSED:
        raise ValueError(f"{name} is not supported in bounded memory: {REFUSED[name]}")
    near = difflib.get_close_matches(name, SUPPORTED, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"it may be one of {', '.join(SUPPORTED)}"
    raise ValueError(f"there is no expectation {name!r} here; {hint}")


ExpectationSpec = Annotated[
    Annotated[_Known, Field(discriminator="expectation")],
    BeforeValidator(_known_name),
]
