"""Measurements of a distillation in which all is well, and what a test changes of them."""

from collections.abc import Sequence
from typing import Any

from components.evaluation.diagnosis.diagnose import diagnose
from components.evaluation.diagnosis.measured import Measured
from components.shared.bundle import Candidate, Fit, Followed, ModelBundle, Selection
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.inputs import TabularInput
from components.shared.recipe.models import MlpSpec
from components.shared.results import CalibrationBin, PairedCounts
from components.shared.results.diagnosis import Finding, Topic
from components.shared.results.validation import CheckResult, ValidationResult
from components.training.selection import proportion
from tests.evaluation.judging.evaluation_factory import accuracy_estimate, changed, make_evaluation

TEST_ROWS = 2000
HELD_OUT = 6000
ROWS = {"labelled": 1000, "unlabelled": 19_000, "test": TEST_ROWS}
CALIBRATION = [
    CalibrationBin(rows=400, confidence=0.75, accuracy=0.76),
    CalibrationBin(rows=1600, confidence=0.99, accuracy=0.99),
]
SAME_CONFIDENCE = (400 * 0.75 + 1600 * 0.99) / 2000


def counts(ahead: int, behind: int, rows: int = TEST_ROWS) -> PairedCounts:
    """Of two models of which one alone is right on some rows, and the other alone on others."""
    return PairedCounts(
        both=rows - ahead - behind, only_student=ahead, only_other=behind, neither=0
    )


GAIN, BESIDE, LEAD = counts(100, 10), counts(20, 20), counts(120, 10)


def candidate(steps: int, score: float, fitted: float, rows: int = HELD_OUT) -> Candidate:
    """By its agreement with the teacher on rows held out, and on rows that it was fitted on."""
    return Candidate(
        steps=steps,
        temperature=2.0,
        weight=0.9,
        score=score,
        standard_error=proportion(score, rows).standard_error,
        fitted=fitted,
    )


def of_candidates(bundle: ModelBundle) -> ModelBundle:
    """Without what is known of the student that was trained in the end."""
    return bundle.model_copy(update={"fit": None})


def student(
    candidates: Sequence[Candidate],
    chosen: int = 0,
    rows: int = HELD_OUT,
    disputed: float = 0.01,
    **fields: Any,
) -> ModelBundle:
    """How the student was trained.

    Args:
        candidates: what it chose among.
        chosen: place of what it chose.
        rows: held out.
        disputed: share of them on which the worse of two candidates alone agrees with the teacher.
        fields: others of the bundle.
    """
    best = candidates[chosen].score
    if best is not None:
        candidates = [_beside(one, best, round(disputed * rows), rows) for one in candidates]
    selection = Selection(
        judge="agreement with the teacher on held-out training rows",
        candidates=list(candidates),
        chosen=chosen,
        held_out=rows,
        fitted=rows,
    )
    known = {
        "role": "student",
        "model": MlpSpec(family="mlp", hidden=[4]),
        "input": TabularInput(columns=["a"]),
        "preprocessing": Preprocessing(mean=[0.0], std=[1.0]),
        "classes": ["a", "b"],
        "parameters": 12,
        "seed": 0,
        "dataset_digest": "d" * 64,
        "soft_labels_digest": "7" * 64,
        "selection": selection,
        "curve": [],
        "weights_sha256": "0" * 64,
        "fit": Fit(
            labelled=Followed(rows=1000, agreeing=990, confidence=0.99),
            unlabelled=Followed(rows=4096, agreeing=4050, confidence=SAME_CONFIDENCE),
        ),
    }
    return ModelBundle.model_validate(known | fields)


def _beside(one: Candidate, best: float, disputed: int, rows: int) -> Candidate:
    lead = round(((one.score or 0.0) - best) * rows)
    return one.model_copy(
        update={"ahead": disputed + max(lead, 0), "behind": disputed + max(-lead, 0)}
    )


WELL = student([candidate(1600, 0.990, 0.992), candidate(6400, 0.990, 0.993)])


def validation(status: str | None, observed: float = 0.01) -> ValidationResult:
    """With the check of coverage, unless it was not looked at."""
    check = CheckResult(
        name="coverage",
        expectation="expect_column_max_to_be_between",
        column=None,
        status=status or "passed",
        message="the transfer pool does not cover 12.0% of the test rows; add unlabelled rows",
        observed=observed,
    )
    return ValidationResult(
        success=True,
        dataset_digest="d" * 64,
        checked_digest="d" * 64,
        suite_hash="s" * 64,
        checks=[check] if status else [],
        rows=dict(ROWS),
        quarantined=0,
        notes=[],
    )


def measured(
    gain: PairedCounts = GAIN,
    beside: PairedCounts = BESIDE,
    lead: PairedCounts | None = LEAD,
    bundle: ModelBundle | None = WELL,
    calibration: Sequence[CalibrationBin] = CALIBRATION,
    coverage: str | None = "passed",
    rows: dict[str, int] = ROWS,
    tested: float = 0.993,
) -> Measured:
    """All is well, but for what is given.

    Args:
        gain: the student against the hard-label arm.
        beside: the student against the pseudo-label arm.
        lead: the teacher against the hard-label arm.
        bundle: of the student.
        calibration: of the teacher.
        coverage: status of the check.
        rows: of the data set.
        tested: agreement of the student with the teacher on test rows.
    """
    evaluation = make_evaluation()
    evaluation = changed(evaluation, "arms.teacher.calibration", list(calibration))
    paired = {**evaluation.paired, "hard_label": gain, "pseudo_label": beside}
    evaluation = changed(changed(evaluation, "paired", paired), "teacher_lead", lead)
    agreement = accuracy_estimate(round(tested * TEST_ROWS), TEST_ROWS)
    evaluation = changed(evaluation, "arms.student.metrics.agreement", agreement)
    evaluation = changed(evaluation, "rows", TEST_ROWS)
    return Measured.of(evaluation, rows, bundle, validation(coverage))


def finding(topic: Topic, **given: Any) -> Finding:
    """The answer to one question."""
    return next(one for one in diagnose(measured(**given)).findings if one.topic == topic)
