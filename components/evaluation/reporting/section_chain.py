"""Who taught whom, for the report: the stages between the teacher and the student."""

from typing import NamedTuple

from components.evaluation.reporting.section_training import describe_network
from components.shared.bundle import ModelBundle
from components.shared.formatting import MISSING, percent
from components.shared.lineage import Stage, after


class Link(NamedTuple):
    """One stage: who learned, from whom, and how well."""

    title: str
    teacher: str
    network: str
    parameters: int
    steps: int
    method: str
    agreement: str
    """With its teacher, on rows that were held out while it chose its settings."""
    accuracy: str
    """On the labelled rows."""


def links(student: ModelBundle, teacher_digest: str) -> list[Link]:
    """The stages from the teacher to the student, which is the last one; nothing where the student
    learned from the teacher's own labels.

    Args:
        student: its bundle.
        teacher_digest: of the teacher of this run.
    """
    before = after(teacher_digest, student.assistants)
    if not before:
        return []
    titles = [f"Assistant {number}" for number in range(1, len(before) + 1)]
    return [
        _link(title, from_whom, stage)
        for title, from_whom, stage in zip(
            [*titles, "Student"], ["Teacher", *titles], [*before, student.as_stage()], strict=True
        )
    ]


def _link(title: str, teacher: str, stage: Stage) -> Link:
    agreement = percent(stage.agreement)
    if stage.standard_error is not None:
        agreement = f"{agreement} ± {percent(stage.standard_error)}"
    return Link(
        title=title,
        teacher=teacher,
        network=describe_network(stage.model),
        parameters=stage.parameters,
        steps=stage.steps,
        method=stage.method,
        agreement=agreement if stage.agreement is not None else MISSING,
        accuracy=percent(stage.accuracy) if stage.accuracy is not None else MISSING,
    )
