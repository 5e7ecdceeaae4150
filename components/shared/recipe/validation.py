"""The recipe's ``validation`` section."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from components.shared.errors import UserError
from components.shared.recipe.base import Fraction, PositiveFloat, PositiveInt, Spec
from components.shared.recipe.expectations import (
    ExpectationSpec,
    Policy,
    RowPolicy,
    StrictRowPolicy,
)
from components.shared.storage import open_storage, split


class Policies(Spec):
    """What follows where a check that is always made fails, by its short name.

    ``fail``: the run ends, and nothing trains. ``warn``: it goes on, and the report says so, which
    is no choice for rows that no later step can use. ``quarantine``: the rows are taken out, and
    written to a file of their own.
    """

    missing: StrictRowPolicy = "fail"
    """A feature is missing (null), and its column has no policy for that."""
    nan: StrictRowPolicy = "fail"
    """A feature is NaN, and its column has no policy for missing values."""
    infinite: StrictRowPolicy = "fail"
    """A feature is infinite, or too large for 32-bit floats."""
    unknown_category: StrictRowPolicy = "fail"
    """A category is none of those known, where the column says that this is an error."""
    unreadable: StrictRowPolicy = "fail"
    """An image cannot be read, or has another size."""
    out_of_range: RowPolicy = "fail"
    """A feature is below ``min_value`` or above ``max_value``."""
    missing_id: RowPolicy = "fail"
    """A row has no id."""
    duplicate_id: RowPolicy = "fail"
    """Rows have the same id; quarantine takes out all of them."""
    missing_label: RowPolicy = "fail"
    """A row of the labelled or test split has no label. With ``warn`` a labelled row goes on
    without one, but a test row ends the evaluation."""
    unknown_label: StrictRowPolicy = "fail"
    """A label is not one of the classes."""
    shared_id: RowPolicy = "fail"
    """A test row has the id of a training row; quarantine takes out the test row."""
    copied_test_row: RowPolicy = "fail"
    """Test rows have the features of a training row, beyond ``max_test_overlap``; quarantine takes
    out every such test row."""
    nearly_copied_test_row: RowPolicy = "warn"
    """Test rows have the features of a training row to five digits, without being equal, beyond
    ``max_test_overlap``."""
    conflicting_labels: RowPolicy = "warn"
    """Rows with equal features have different labels; quarantine takes out all of them."""
    few_rows: Policy = "fail"
    """The labelled or the test split has fewer than ``min_rows``."""
    absent_class: Policy = "fail"
    """A class is not in the labelled or not in the test split."""
    few_rows_of_class: Policy = "fail"
    """A class has fewer than ``min_rows_per_class``."""
    unbalanced: Policy = "fail"
    """A class has more than ``max_class_share``."""


class DriftSpec(Spec):
    """How far the training rows may be from those of the present champion.

    Judged is only what chance does not explain: see ``significance``.
    """

    max_psi: PositiveFloat = 0.2
    """Largest population stability index of a column, over ten equal parts of the champion's."""
    max_class_shift: Fraction = 0.1
    """Largest total variation distance between the class shares of the labelled rows."""
    significance: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """Chance of a false alarm in all columns together: a chi-squared test at this level, divided by
    the number of comparisons, has to reject as well."""
    on_failure: Policy = "warn"


class CoverageSpec(Spec):
    """Whether the transfer pool (labelled and unlabelled rows) has what test rows look like."""

    max_uncovered: Fraction = 0.05
    """Largest share of test rows that lie farther from the pool than 99 % of the pool's own rows
    do from the rest of it. One percent is expected."""
    on_failure: Policy = "warn"


class ValidationSpec(Spec):
    """Limits that the data must keep, checked by Great Expectations before anything trains."""

    min_rows: PositiveInt = 20
    """Least number of rows in the labelled and in the test split."""
    min_rows_per_class: PositiveInt = 2
    """Least number of rows of each class in the labelled and in the test split."""
    max_class_share: Fraction = 0.95
    """Largest share of the labelled rows that one class may have."""
    min_value: float | None = None
    """Smallest value that a feature may take."""
    max_value: float | None = None
    """Largest value that a feature may take."""
    max_test_overlap: Fraction = 0.0
    """Largest share of test rows whose features also occur in a training row."""
    max_quarantined: Fraction = 0.1
    """Largest share of the rows that may be taken out; with more, the data are refused."""
    policies: Policies = Policies()
    """What follows where a check fails, by the check's short name."""
    suite: str | None = None
    """A YAML file with expectations, relative to the recipe, or ``s3://``. It is read with
    the recipe, and its expectations come before those of ``expectations``."""
    expectations: list[ExpectationSpec] = []
    """Expectations of one's own, by Great Expectations' names."""
    drift: DriftSpec | None = None
    """Comparison with the data of the present champion; by default there is none, since it takes a
    step more."""
    coverage: CoverageSpec = CoverageSpec()
    sensitive: list[str] = []
    """Columns of which no value is shown: not in messages, results, pages or the data profile."""

    @field_validator("suite")
    @classmethod
    def _is_read_before(cls, suite: str | None) -> None:
        if suite is not None:
            raise ValueError(
                "is read where a recipe file is loaded; name the expectations themselves here, in "
                "validation.expectations"
            )


def with_suite(section: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The section with the expectations of its suite file in place of ``suite``.

    Args:
        section: ``validation`` as it is in a recipe file, not yet validated.
        folder: of the recipe.

    Raises:
        UserError: the file cannot be read, or is not a list of expectations.
    """
    import yaml

    name = section.get("suite")
    if not isinstance(name, str):
        return section
    place = name if "://" in name else str((folder / Path(name).expanduser()).resolve())
    root, file = split(place)
    try:
        listed = yaml.safe_load(open_storage(root).read(file).decode())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"validation.suite {place}: {reason}") from error
    if not isinstance(listed, list) or not listed:
        raise UserError(f"validation.suite {place}: should be a list of expectations, not empty")
    own = section.get("expectations")
    together = [*listed, *own] if isinstance(own, list) else listed
    return {**{k: v for k, v in section.items() if k != "suite"}, "expectations": together}
