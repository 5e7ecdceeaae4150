"""Questions about the transfer pool: whether there is enough of it, and of the right kind."""

from components.evaluation.diagnosis.gains import gain_of_fitting
from components.evaluation.diagnosis.measured import Measured
from components.evaluation.diagnosis.question import MARGIN, Question, plain, shown, size
from components.evaluation.diagnosis.shares import difference
from components.shared.formatting import integer, percent
from components.shared.results.diagnosis import Finding

_SIZE = Question(
    topic="pool_size",
    title="Is the transfer pool large enough?",
    rule="A problem where the student agrees with the teacher on rows that it was fitted on more "
    f"than on others, by surely over {size(MARGIN)}; not one where it is surely less. Unlabelled "
    "rows against test rows, since the teacher learned from neither; without them, rows fitted and "
    "held out.",
    source="Stanton et al., arXiv 2106.05945; Beyer et al., arXiv 2106.05237; Newcombe, Statistics "
    "in Medicine 17 (1998) 873",
)
_COVERAGE = Question(
    topic="pool_coverage",
    title="Does the pool have what test rows look like?",
    rule="A problem where the check coverage of validate_data does not hold: surely more of the "
    "test rows than validation.coverage.max_uncovered lie farther from the pool than 99 % of its "
    "own rows do from one another.",
    source="validate_data; Clopper & Pearson at 99 %",
)
_CONFIDENCE = Question(
    topic="pool_confidence",
    title="Is the teacher as sure of the pool as of test rows?",
    rule="Worth a hint where its mean confidence on unlabelled rows and on test rows differs by "
    f"surely over {size(MARGIN)}; not where it is surely less.",
    source="Hendrycks & Gimpel, arXiv 1610.02136 (confidence tells rows of another kind); "
    "Newcombe, Statistics in Medicine 17 (1998) 873, of shares, which spread more",
)


def pool_size(measured: Measured, level: float) -> Finding:
    """Whether the student learned its rows more than what they have in common."""
    learned = measured.learning
    per_class = measured.pool_rows / len(measured.evaluation.classes)
    sizes = [
        plain("Training rows a class", round(per_class)),
        plain("Unlabelled rows", measured.rows["unlabelled"]),
    ]
    if learned is None:
        return _SIZE.answer(
            "not_measured",
            f"Agreement with {measured.taught_by} was not measured on rows fitted and on others.",
            sizes,
        )
    gap = gain_of_fitting(learned, level)
    figures = [gap.points(f"Agreement where fitted, less that on {learned.where}"), *sizes]
    pool = f"{integer(round(per_class))} training rows a class"
    if gap.lower > MARGIN:
        return _SIZE.answer(
            "problem",
            f"The transfer pool is the limit: where it was fitted the student agrees with "
            f"{measured.taught_by} more than on {learned.where}, by {shown(gap)}, with {pool}.",
            figures,
            "Add unlabelled rows like those of the test split: they need no labels, the teacher "
            "gives them. Or augment those that there are (labelling.views).",
        )
    if gap.upper < MARGIN:
        return _SIZE.answer(
            "clear",
            f"The pool is large enough for this student: where it was fitted it agrees with "
            f"{measured.taught_by} hardly more than on {learned.where}, by {shown(gap)}, with "
            f"{pool}.",
            figures,
        )
    return _SIZE.answer(
        "unsettled",
        f"Too few {learned.where} to tell whether the pool is the limit: where it was fitted the "
        f"student agrees with {measured.taught_by} by {shown(gap)} more, with {pool}.",
        figures,
    )


def coverage(measured: Measured) -> Finding:
    """What the check of the data found."""
    check = measured.coverage
    if check is None:
        return _COVERAGE.not_measured("The data were not checked for it, or have too few rows.")
    figures = []
    if isinstance(check.observed, int | float):
        figures = [plain("Test rows not covered, at least", float(check.observed), "share")]
    if check.success:
        return _COVERAGE.answer("clear", "The pool covers the test rows.", figures)
    return _COVERAGE.answer(
        "problem",
        f"{check.message[0].upper()}{check.message[1:]}.".replace("..", "."),
        figures,
        "Add unlabelled rows like those of the test split: what a student never saw labelled, it "
        "cannot imitate.",
    )


def confidence(measured: Measured, level: float) -> Finding:
    """Whether the teacher takes rows of the pool for what it takes test rows for."""
    pool = measured.pool_confidence
    if pool is None:
        return _CONFIDENCE.not_measured(
            "The student learned from its assistant, whose confidence was recorded in place of the "
            "teacher's."
            if measured.by_assistants
            else "There are no unlabelled rows, or the teacher's confidence on them is not known."
        )
    tested = measured.tested_confidence
    found = difference(pool, tested, level)
    figures = [
        found.points("Pool minus test"),
        plain("Pool", pool.value, "share"),
        plain("Test", tested.value, "share"),
    ]
    told = (
        f"{percent(pool.value)} on unlabelled rows and {percent(tested.value)} on test rows, "
        f"{shown(found)}"
    )
    if found.lower > MARGIN or found.upper < -MARGIN:
        surer = "surer" if found.value > 0 else "less sure"
        return _CONFIDENCE.answer(
            "hint",
            f"The teacher is {surer} of the pool than of test rows: {told}. They may not be from "
            "the same source.",
            figures,
            "Take the unlabelled rows from where the model will be used. A teacher that is hardly "
            "sure of them teaches noise; one that is sure of all of them teaches little.",
        )
    if max(found.upper, -found.lower) < MARGIN:
        return _CONFIDENCE.answer("clear", f"The teacher is as sure of both: {told}.", figures)
    return _CONFIDENCE.answer("unsettled", f"Too few rows to tell: {told}.", figures)
