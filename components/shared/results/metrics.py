"""How good a model is on the test rows."""

from typing import Literal

from components.shared.results.base import Result

MetricName = Literal[
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "auroc",
    "log_loss",
    "calibration_error",
    "agreement",
    "kl_to_teacher",
]


class Estimate(Result):
    """A metric with its confidence interval."""

    value: float
    centre: float
    """What interval and bounds lie around: the value, or for shares a little nearer to a half, as
    if a right and a wrong row had been added. Samples without an error are not proof of none."""
    standard_error: float
    lower: float
    upper: float
    """Two-sided, at the evaluation's confidence."""


class ClassResult(Result):
    """One class, one against the rest."""

    name: str
    rows: int
    """Test rows of this class."""
    precision: float | None
    """Null where the model never predicts the class."""
    recall: float | None
    f1: float | None


class CalibrationBin(Result):
    """Rows whose largest probability lies in one bin of equal width."""

    rows: int
    confidence: float
    """Mean of the largest probability."""
    accuracy: float


class RocPoint(Result):
    """One threshold on the probability of a class: which share of the rows of that class, and of
    the other rows, lies above it."""

    threshold: float
    true_positive_rate: float
    false_positive_rate: float


class SliceResult(Result):
    """One value (or range of values) of one column."""

    column: str
    value: str
    """The value, or a range such as ``12 to 30``."""
    rows: int
    metrics: dict[MetricName, Estimate]


class PairedCounts(Result):
    """Student and another model on the same rows, counted by who was right."""

    both: int
    only_student: int
    only_other: int
    neither: int

    @property
    def rows(self) -> int:
        """All rows."""
        return self.both + self.only_student + self.only_other + self.neither

    @property
    def discordance(self) -> float:
        """Share of the rows on which only one of the two is right; 0 without rows."""
        return (self.only_student + self.only_other) / max(self.rows, 1)
