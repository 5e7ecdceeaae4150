"""What the questions are answered from, by one name each, wherever it was measured."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.evaluation.diagnosis.shares import Share
from components.shared.bundle import Candidate, ModelBundle
from components.shared.lineage import after
from components.shared.recipe.data import SplitName
from components.shared.results import Evaluation, PairedCounts
from components.shared.results.validation import CheckResult, ValidationResult

COVERAGE = "coverage"
"""Name of the check whether the transfer pool has what test rows look like."""


@dataclass(frozen=True)
class Pair:
    """A shorter and a longer training of the same method, judged on the same held-out rows."""

    shorter: Candidate
    longer: Candidate


@dataclass(frozen=True)
class Learned:
    """Agreement of a student with the teacher where it learned, and where it did not."""

    fitted: Share
    unseen: Share
    where: str
    """Which rows it did not learn from: ``test rows``, ``held-out rows``."""
    chosen_among: int
    """Students that it was chosen from for its agreement on these rows; 1 where it was not."""


@dataclass(frozen=True)
class Measured:
    """A student, its teacher and what it learned from."""

    evaluation: Evaluation
    rows: Mapping[SplitName, int]
    """Of the data set, by split."""
    student: ModelBundle | None
    """How it was trained; null where that is not known."""
    coverage: CheckResult | None
    """Null where it was not looked at."""

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        rows: Mapping[SplitName, int],
        student: ModelBundle | None,
        validation: ValidationResult | None,
    ) -> "Measured":
        """Put together what steps wrote down.

        Args:
            evaluation: of the run.
            rows: of the data set, by split.
            student: bundle of the float32 student.
            validation: of the data.
        """
        checks = validation.checks if validation else []
        found = next((check for check in checks if check.name == COVERAGE), None)
        return cls(evaluation, rows, student, found)

    @property
    def candidates(self) -> list[Candidate]:
        """All that the student chose among; empty where that is not known."""
        selection = self.student and self.student.selection
        return selection.candidates if selection else []

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that was trained in the end."""
        selection = self.student and self.student.selection
        return selection.choice if selection else None

    def held_out(self, candidate: Candidate) -> Share | None:
        """Agreement of a candidate with the teacher on held-out training rows."""
        selection = self.student and self.student.selection
        if not selection or selection.held_out is None or candidate.score is None:
            return None
        return Share(candidate.score, selection.held_out)

    def fitted(self, candidate: Candidate) -> Share | None:
        """Agreement of a candidate with the teacher on rows that it was fitted on."""
        selection = self.student and self.student.selection
        if not selection or selection.fitted is None or candidate.fitted is None:
            return None
        return Share(candidate.fitted, selection.fitted)

    @property
    def learned(self) -> Share | None:
        """Agreement of the student that was trained in the end, on rows that it was fitted on."""
        fit = self.student and self.student.fit
        kinds = [kind for kind in (fit.labelled, fit.unlabelled) if kind] if fit else []
        rows = sum(kind.rows for kind in kinds)
        return Share(sum(kind.agreeing for kind in kinds) / rows, rows) if rows else None

    @property
    def learning(self) -> Learned | None:
        """What is left on other rows of the agreement on those that the student was fitted on.

        Of the student that was trained in the end, on unlabelled rows and test rows, of which the
        teacher learned from neither. Without unlabelled rows, or with assistants, which were not
        run on test rows, of the candidate that was chosen, on rows fitted and held out.
        """
        fit = self.student and self.student.fit
        if fit and fit.unlabelled and not self.by_assistants:
            found = fit.unlabelled
            agreement = self.evaluation.arms["student"].metrics["agreement"].value
            return Learned(
                Share(found.agreeing / found.rows, found.rows),
                Share(agreement, self.evaluation.rows),
                "test rows",
                1,
            )
        chosen = self.chosen
        fitted, held_out = (self.fitted(chosen), self.held_out(chosen)) if chosen else (None, None)
        if fitted is None or held_out is None:
            return None
        return Learned(fitted, held_out, "held-out rows", len(self.candidates))

    @property
    def lengths(self) -> Pair | None:
        """The two longest trainings of the method that was chosen; null where there was one."""
        chosen = self.chosen
        if chosen is None:
            return None
        alike = [one for one in self.candidates if one.score is not None and _alike(one, chosen)]
        by_length = sorted(alike, key=lambda one: one.steps)
        if len(by_length) < 2:
            return None
        return Pair(*by_length[-2:])

    @property
    def by_length(self) -> PairedCounts | None:
        """The longer of :attr:`lengths`, as the ``student``, against the shorter, by agreement with
        the teacher on held-out rows; null where neither was chosen, or it was not recorded."""
        pair, chosen = self.lengths, self.chosen
        if pair is None or chosen not in (pair.longer, pair.shorter):
            return None
        of_longer = chosen == pair.shorter
        other = pair.longer if of_longer else pair.shorter
        held_out = self.held_out(other)
        if held_out is None or other.ahead is None or other.behind is None:
            return None
        ahead, behind = other.ahead, other.behind
        both = round(held_out.value * held_out.rows) - ahead
        return PairedCounts(
            both=both,
            only_student=ahead if of_longer else behind,
            only_other=behind if of_longer else ahead,
            neither=held_out.rows - both - ahead - behind,
        )

    @property
    def by_assistants(self) -> bool:
        """Whether the student learned from an assistant of this run, whose word then is what it
        follows; an assistant of an earlier run may be the teacher itself."""
        teacher = self.evaluation.arms.get("teacher")
        known = self.student.assistants if self.student else []
        return bool(after(teacher.bundle_digest if teacher else "", known))

    @property
    def taught_by(self) -> str:
        """Whom the student follows."""
        return "its assistant" if self.by_assistants else "the teacher"

    @property
    def pool_rows(self) -> int:
        """Labelled and unlabelled training rows."""
        return self.rows["labelled"] + self.rows["unlabelled"]

    @property
    def tested_confidence(self) -> Share:
        """Mean of the largest probability that the teacher gives test rows."""
        bins = self.evaluation.teacher.calibration
        rows = sum(part.rows for part in bins)
        return Share(sum(part.rows * part.confidence for part in bins) / rows, rows)

    @property
    def pool_confidence(self) -> Share | None:
        """The same of unlabelled training rows, which a teacher has not learned from; null with
        assistants, whose confidence was recorded."""
        fit = self.student and self.student.fit
        found = None if self.by_assistants else fit and fit.unlabelled
        return Share(min(found.confidence, 1.0), found.rows) if found else None


def _alike(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates differ in length alone."""
    return (one.method, one.temperature, one.weight) == (
        other.method,
        other.temperature,
        other.weight,
    )
