"""The stages between a teacher and its student: who learned from whom, and how well."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from components.shared.recipe.models import ModelSpec
from components.shared.recipe.objectives import Objectives, described


class Stage(BaseModel):
    """A model that learned from the one before it: an assistant, an earlier generation of the
    student, or the student."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str
    """Content hash of its bundle."""
    model: ModelSpec
    parameters: int
    steps: int
    """Of its training."""
    objectives: Objectives
    """What it minimised beside the cross-entropy with the labels."""
    agreement: float | None
    """With the one it learned from, 0 to 1, of the settings that it was trained by, on training
    rows that were held out; null where there was nothing to choose, so that none were."""
    standard_error: float | None
    """Of ``agreement``."""
    accuracy: float | None = None
    """On the labelled rows, 0 to 1, all of which it has learned from; null where it labelled none.
    """

    @property
    def method(self) -> str:
        """What it minimised, in words."""
        return described(self.objectives)


def after(teacher_digest: str, stages: Sequence[Stage]) -> list[Stage]:
    """Those that learned after a teacher, which may be a stage of an earlier run itself.

    Args:
        teacher_digest: of the teacher of this run.
        stages: all that are known, first to last.
    """
    digests = [stage.digest for stage in stages]
    start = digests.index(teacher_digest) + 1 if teacher_digest in digests else 0
    return list(stages[start:])
