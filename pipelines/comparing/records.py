"""What a comparison of methods keeps: a record for each seed's lesson and for each trial, and the
comparison that is made of them."""

from datetime import datetime
from typing import Literal

from components.shared.bundle import Candidate
from components.shared.results import ArmName, MetricName, PairedCounts
from components.shared.results.base import Interval, Result

LESSON, TRIAL = "lesson.json", "trial.json"
COMPARISON, TABLE, PAGE = "comparison.json", "comparison.md", "comparison.html"

BASELINES: tuple[ArmName, ...] = ("hard_label", "pseudo_label")
Standing = Literal["ahead", "level", "behind"]


class Lesson(Result):
    """What all methods of one seed share: data, teacher, its labels, and the baselines."""

    format_version: Literal[1] = 1
    key: str
    """Hash of all that it depends on."""
    seed: int
    dataset: str
    """Folder of the data set that the checks let through; like the other folders below, in the
    output of the comparison."""
    dataset_digest: str
    soft_labels: str
    soft_labels_digest: str
    student_labels: str
    """What the student learns from: the last assistant's labels, or the teacher's."""
    student_labels_digest: str
    student_teacher: str
    """Who made them."""
    student_teacher_digest: str
    teacher: str
    teacher_digest: str
    hard_label: str
    hard_label_digest: str
    pseudo_label: str
    pseudo_label_digest: str
    seconds: float


class Trial(Result):
    """One method on one seed, measured on the test rows."""

    format_version: Literal[1] = 1
    key: str
    """Hash of all that it depends on."""
    method: str
    seed: int
    rows: int
    """Test rows."""
    arms: dict[ArmName, dict[MetricName, float]]
    """Teacher, student, hard_label and pseudo_label on the same rows."""
    paired: PairedCounts
    """The student against the hard-label arm."""
    gap_recovered: float | None
    """Null where the teacher is not ahead of the hard-label arm."""
    chosen: Candidate
    tried: int
    """How many candidates there were."""
    seconds: float

    def accuracy(self, arm: ArmName) -> float:
        """Of an arm, 0 to 1."""
        return self.arms[arm]["accuracy"]


class Mean(Result):
    """A mean over seeds."""

    mean: float
    interval: Interval | None
    """Student's t over the seeds; null for one seed, which has no spread."""
    values: list[float]
    """One for each seed that has the figure, in their order."""


class Contender(Result):
    """A method, a baseline or the teacher, over all seeds."""

    name: str
    kind: Literal["teacher", "hard_label", "pseudo_label", "method"]
    accuracy: Mean
    gap_recovered: Mean | None
    """Null for teacher and hard-label arm, and where no seed has a gap."""
    gain: Mean | None
    """Accuracy minus that of the hard-label arm of the same seed; null for these two."""
    standing: Standing | None
    """Against the hard-label arm: level where the interval of the gain has zero in it, or where
    there is one seed."""
    agreement: Mean | None
    """With the teacher; null for the teacher itself."""
    chosen: list[str]
    """What was trained in the end, seed by seed; empty for teacher and baselines."""
    seconds: float | None
    """Mean time of a trial, search included."""


class LeftOut(Result):
    """A method that could not be compared."""

    method: str
    seed: int
    """Of the trial that was refused; it was not tried on later ones."""
    reason: str


class MethodComparison(Result):
    """Methods on the same data, teachers and seeds."""

    format_version: Literal[1] = 1
    recipe: str
    created: datetime
    confidence: float
    seeds: list[int]
    own_splits: bool
    """Whether each seed has a random split of its own."""
    source: str
    test_rows: int
    contenders: list[Contender]
    """The teacher, the baselines, then the methods in the order in which they were asked for."""
    sentences: list[str]
    """What the figures say, and no more."""
    trials: list[Trial]
    left_out: list[LeftOut]
    """Methods that the data or the settings refuse."""

    def contender(self, name: str) -> Contender:
        """One by its name."""
        return next(one for one in self.contenders if one.name == name)
