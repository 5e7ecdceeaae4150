"""What an evaluation measured and what a decision says: the contract between steps."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

ArmName = Literal["teacher", "student", "hard_label", "pseudo_label", "champion"]
TRAINED_ARMS: tuple[ArmName, ...] = ("teacher", "student", "hard_label", "pseudo_label")
Verdict = Literal["promote", "reject"]


class _Result(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Interval(_Result):
    """A two-sided confidence interval."""

    lower: float
    upper: float


class Percentile(_Result):
    """A latency percentile in milliseconds, with a distribution-free confidence bound."""

    value: float
    upper: float
    """One-sided upper bound at the evaluation's confidence level, from order statistics."""


class Latency(_Result):
    """Latency of single rows through ONNX Runtime."""

    p50: Percentile
    p95: Percentile
    p99: Percentile
    calls: int
    """Counted calls, after the warm-up."""
    threads: int


class ClassResult(_Result):
    """One class, one against the rest."""

    name: str
    rows: int
    """Test rows of this class."""
    precision: float | None
    """Null where the model never predicts the class."""
    recall: float | None
    f1: float | None


class CalibrationBin(_Result):
    """Rows whose largest probability lies in one bin of equal width."""

    rows: int
    confidence: float
    """Mean of the largest probability."""
    accuracy: float


class ArmResult(_Result):
    """One model on the test rows."""

    accuracy: float
    accuracy_interval: Interval
    """Wilson score interval."""
    rows: int
    per_class: list[ClassResult]
    confusion: list[list[int]]
    """Rows counted by true class (first index) and predicted class (second)."""
    calibration_error: float
    """Expected calibration error over 15 bins (Guo et al., arXiv 1706.04599)."""
    calibration: list[CalibrationBin]
    """The bins that are not empty."""
    parameters: int
    size_bytes: int
    """Size of the ONNX file."""
    latency_ms: Latency
    model_digest: str
    """SHA-256 of the ONNX file."""
    bundle_digest: str
    """Content hash of the model bundle that it was exported from."""


class PairedCounts(_Result):
    """Student and another model on the same rows, counted by who was right."""

    both: int
    only_student: int
    only_other: int
    neither: int


class Evaluation(_Result):
    """Everything that was measured, on the same test rows for every arm."""

    format_version: Literal[1] = 1
    dataset_digest: str
    classes: list[str]
    rows: int
    confidence: float
    """Level of all intervals and bounds in here."""
    arms: dict[ArmName, ArmResult]
    """Teacher, student, hard_label, pseudo_label and, when there is one, champion."""
    paired: dict[ArmName, PairedCounts]
    """The student against each other arm."""
    champion_version: str | None
    """Version in the registry of the champion that was measured, if there was one."""
    champion_dataset_digest: str | None = None
    """Data set that the champion was trained on."""

    @property
    def gap_recovered(self) -> float | None:
        """(student - hard_label) / (teacher - hard_label); null where there is no gap."""
        teacher, student, hard = (
            self.arms[name].accuracy for name in ("teacher", "student", "hard_label")
        )
        return (student - hard) / (teacher - hard) if teacher > hard else None

    @property
    def retention(self) -> float | None:
        """Accuracy of the student divided by the teacher's."""
        teacher = self.arms["teacher"].accuracy
        return self.arms["student"].accuracy / teacher if teacher > 0 else None


class Check(_Result):
    """One gate: what was seen, how sure that is, what was asked."""

    gate: str
    """Path in the recipe, such as ``gates.latency.p95_ms``."""
    observed: float | None
    bound: float | None
    """One-sided confidence bound of the observed value, which is what is judged."""
    threshold: float
    direction: Literal["at least", "at most", "above"]
    """What the bound has to be with respect to the threshold."""
    passed: bool
    reason: str
    """One sentence."""


class Decision(_Result):
    """The verdict and every check behind it."""

    format_version: Literal[1] = 1
    verdict: Verdict
    summary: str
    """One sentence for people."""
    checks: list[Check]
    dataset_digest: str
    student_digest: str
    """The ONNX file that was measured, and the only one that may be promoted."""
    champion_version: str | None
    """The champion that the student was compared with."""


class Registration(_Result):
    """Where a pipeline run is recorded, and what it changed in the registry."""

    format_version: Literal[1] = 1
    verdict: Verdict
    run_id: str
    """The pipeline run."""
    mlflow_run_id: str
    tracking_uri: str
    """Without credentials."""
    model: str
    version: str | None
    """The registered version; null after a rejection."""
    alias: str | None
    """The alias that points at it; null after a rejection."""
    former_version: str | None
    """The champion that it took over from, if there was one."""
