"""Everything that an evaluation measured: the contract between the steps that measure and judge."""

from typing import Annotated, Literal

from pydantic import Field

from components.shared.results.base import Interval, Result
from components.shared.results.diagnosis import Diagnosis
from components.shared.results.latency import Footprint, Latency, Noise
from components.shared.results.metrics import (
    CalibrationBin,
    ClassResult,
    Estimate,
    MetricName,
    PairedCounts,
    RocPoint,
    SliceResult,
)

ArmName = Literal["teacher", "student", "hard_label", "pseudo_label", "champion"]
TRAINED_ARMS: tuple[ArmName, ...] = ("teacher", "student", "hard_label", "pseudo_label")
ChampionState = Literal["present", "first_model", "missing"]
"""``first_model``: nothing was ever registered under this name. ``missing``: versions are there,
but the alias is on none of them."""


CandidateName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9_-]|\.[a-z0-9])*$")]
"""Such as ``pruned_channels_12.5_int8``. It names a folder, so nothing else may stand in it."""


class Quality(Result):
    """What a model's predictions of the test rows are worth."""

    rows: int
    metrics: dict[MetricName, Estimate]
    """``agreement`` and ``kl_to_teacher`` are not there for the teacher itself."""
    per_class: list[ClassResult]
    confusion: list[list[int]]
    """Rows counted by true class (first index) and predicted class (second)."""
    calibration: list[CalibrationBin]
    """The bins that are not empty."""
    roc: list[RocPoint]
    """Binary: of the second class. More classes: averaged over one class against the rest."""
    slices: list[SliceResult]

    @property
    def accuracy(self) -> float:
        """Share of the rows whose most probable class is the label."""
        return self.metrics["accuracy"].value

    @property
    def accuracy_interval(self) -> Interval:
        """Of the accuracy, two-sided."""
        estimate = self.metrics["accuracy"]
        return Interval(lower=estimate.lower, upper=estimate.upper)


class ServedResult(Quality):
    """A teacher that cannot be deployed, and so was not run here: what it said of the test rows
    while it labelled. Its latency, size and memory were not measured."""

    described: str
    """What it is, in words."""
    teacher_digest: str
    """Hash of the teacher's record."""
    predictions_digest: str
    """SHA-256 of the file with its predictions."""


class ArmResult(Quality):
    """One deployable file on the test rows."""

    parameters: int
    size_bytes: int
    """Size of the ONNX file."""
    latency: list[Latency]
    """One for each condition of the recipe; the first is the one that gates judge."""
    footprint: Footprint
    model_digest: str
    """SHA-256 of the ONNX file."""
    bundle_digest: str
    """Content hash of the model bundle that it was made from."""

    @property
    def latency_ms(self) -> Latency:
        """Latency under the condition that gates judge, in milliseconds."""
        return self.latency[0]


class CandidateResult(Result):
    """One deployable form of the student."""

    name: CandidateName
    how: str
    """How it was made, in a few words."""
    measured: ArmResult
    paired: dict[ArmName, PairedCounts]
    """Against teacher, hard_label, pseudo_label and, when there is one, champion."""


class SkippedCandidate(Result):
    """A form of the student that could not be made, or that was broken."""

    name: str
    reason: str


class Evaluation(Result):
    """Everything that was measured, on the same test rows for every model."""

    format_version: Literal[2] = 2
    dataset_digest: str
    classes: list[str]
    rows: int
    confidence: float
    """Level of all intervals in here."""
    arms: dict[ArmName, ArmResult]
    """Teacher (unless it was not run here), student (float32), hard_label, pseudo_label and, when
    there is one, champion."""
    paired: dict[ArmName, PairedCounts]
    """The float32 student against each other arm: what distillation did, without compression."""
    candidates: list[CandidateResult]
    """What may be deployed, in the order of the recipe."""
    skipped: list[SkippedCandidate]
    noise: Noise
    champion_state: ChampionState
    champion_version: str | None
    """Version in the registry of the champion that was measured, if there was one."""
    champion_dataset_digest: str | None = None
    """Data set that the champion was trained on."""
    served_teacher: ServedResult | None = None
    """The teacher, where it was not run here."""
    teacher_lead: PairedCounts | None = None
    """The teacher, as the ``student`` of the counts, against the hard-label arm; null in older
    records."""
    diagnosis: Diagnosis | None = None
    """Why distillation did or did not help, from these figures and from how the student was
    trained; null in older records."""

    @property
    def teacher(self) -> Quality:
        """What the teacher's predictions are worth, wherever it was run."""
        return self.served_teacher or self.arms["teacher"]

    @property
    def gap_recovered(self) -> float | None:
        """(student - hard_label) / (teacher - hard_label); null where there is no gap."""
        teacher = self.teacher.accuracy
        student, hard = (self.arms[name].accuracy for name in ("student", "hard_label"))
        return (student - hard) / (teacher - hard) if teacher > hard else None

    @property
    def retention(self) -> float | None:
        """Accuracy of the student divided by the teacher's."""
        teacher = self.teacher.accuracy
        return self.arms["student"].accuracy / teacher if teacher > 0 else None

    def candidate(self, name: str) -> CandidateResult | None:
        """The candidate of that name, if it was measured."""
        return next((found for found in self.candidates if found.name == name), None)

    def measured(self, name: str) -> ArmResult:
        """What was measured of a candidate; of the float32 student, where it is not among them."""
        found = self.candidate(name)
        return found.measured if found else self.arms["student"]
