"""What two registered versions have in common, and what not: a record."""

from datetime import datetime
from typing import Literal

from components.shared.results import Interval, PairedCounts, Verdict
from components.shared.results.base import Result

Unit = Literal["share", "ms", "bytes", "number"]


class ComparedVersion(Result):
    """One of the two, by itself."""

    version: str
    aliases: list[str]
    registered_at: datetime
    run_id: str
    """The pipeline run that made it."""
    mlflow_run_id: str
    candidate: str
    """The form of the student."""
    verdict: Verdict
    summary: str
    """The verdict in a sentence."""
    measured_against: str | None
    """The champion at that time."""
    dataset_digest: str
    rows: dict[str, int]
    """By split; of a run that did not record them, only ``test``."""
    classes: list[str]
    teacher_digest: str | None
    student_digest: str
    """SHA-256 of the ONNX file."""
    git_commit: str | None


class FigureDifference(Result):
    """One figure of both."""

    name: str
    unit: Unit
    better: Literal["higher", "lower"]
    first: float | None
    first_interval: Interval | None
    second: float | None
    second_interval: Interval | None
    difference: float | None
    """Second less first; null where the two cannot be compared, or one is missing."""


class GateDifference(Result):
    """One gate of either; null where the other was not judged by it."""

    gate: str
    first_passed: bool | None
    first_reason: str | None
    second_passed: bool | None
    second_reason: str | None


class RecipeChange(Result):
    """One value of the recipe that differs."""

    path: str
    """With dots, such as ``student.training.learning_rate``."""
    first: str
    second: str


class VersionDiff(Result):
    """Two versions of a registered model."""

    model: str
    tracking_uri: str
    """Without credentials."""
    first: ComparedVersion
    second: ComparedVersion
    same_data: bool
    same_teacher: bool | None
    """Null where the teacher of one is not recorded."""
    measured_together: bool
    """On the same rows in the same run, in which one of them was the champion."""
    comparable: bool
    """Whether both were measured on the same test rows."""
    notes: list[str]
    """Whole sentences on what the differences mean."""
    figures: list[FigureDifference]
    paired: PairedCounts | None
    """The second (``student``) against the first (``other``), row by row; null where they were not
    measured together."""
    gates: list[GateDifference]
    recipe: list[RecipeChange]
