"""How often a problem is found where there is none, and the all-clear given where there is one.

Rows are drawn anew 2,000 times, at the truth that is hardest to tell: at the edge of the rule.
Seeds are fixed; three binomial standard errors are allowed for.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from diagnosis_example import candidate, counts, measured, of_candidates, student

from components.evaluation.diagnosis import pool, teacher
from components.evaluation.diagnosis import student as learner
from components.evaluation.diagnosis.diagnose import QUESTIONS
from components.shared.results import CalibrationBin
from components.shared.results.diagnosis import Finding, Severity
from tests.evaluation.judging.evaluation_factory import changed

DRAWS = 2000
ALPHA = 0.05 / QUESTIONS
LEVEL = 1 - ALPHA
ALLOWED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / DRAWS)
"""1.1 %."""


def shares(draws: Iterable[tuple[int, ...]], find: Callable[..., Finding]) -> dict[Severity, float]:
    """How often each answer was given; the same draw is looked at once."""
    found: Counter[Severity] = Counter()
    for draw, times in Counter(draws).items():
        found[find(*draw).severity] += times
    return {severity: times / DRAWS for severity, times in found.items()}


def disputed(seed: int, rows: int, ahead: float, behind: float) -> Iterable[tuple[int, ...]]:
    """Rows on which only one of two is right."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(rows, (ahead, behind, 1 - ahead - behind), size=DRAWS)
    return [(int(one), int(other)) for one, other, _ in drawn]


@pytest.mark.parametrize(
    ("lead", "wrong"), [(0.01, "problem"), (0.0, "clear")], ids=["a point", "none"]
)
@pytest.mark.parametrize(("rows", "dispute"), [(300, 0.05), (1000, 0.1)])
def test_a_teacher_is_not_called_weak_or_ahead_by_chance(
    rows: int, dispute: float, lead: float, wrong: Severity
) -> None:
    known = measured()

    def find(ahead: int, behind: int) -> Finding:
        update = {"teacher_lead": counts(ahead, behind, rows)}
        evaluation = known.evaluation.model_copy(update=update)
        return teacher.lead(replace(known, evaluation=evaluation), LEVEL)

    draws = disputed(1, rows, (dispute + lead) / 2, (dispute - lead) / 2)
    assert shares(draws, find).get(wrong, 0.0) <= ALLOWED


@pytest.mark.parametrize(("rows", "agreement"), [(150, 0.97), (600, 0.9), (600, 1.0)])
def test_a_pool_is_not_called_too_small_or_large_enough_by_chance(
    rows: int, agreement: float
) -> None:
    generator = np.random.default_rng(2)
    fitted = generator.binomial(rows, agreement, DRAWS).tolist()
    held_out = generator.binomial(rows, agreement - 0.02, DRAWS).tolist()

    def find(fitted: int, held_out: int) -> Finding:
        one = candidate(1600, held_out / rows, fitted / rows, rows)
        return pool.pool_size(replace(known, student=alone(one)), LEVEL)

    def alone(one: object) -> object:
        return of_candidates(student([one], rows=rows))  # type: ignore[list-item]

    known = measured()
    found = shares(zip(fitted, held_out, strict=True), find)
    assert max(found.get("problem", 0.0), found.get("clear", 0.0)) <= ALLOWED


@pytest.mark.parametrize(
    ("dispute", "gain", "wrong"),
    [(0.01, 0.0, "problem"), (0.1, 0.0, "problem"), (0.03, 0.02, "clear"), (0.1, 0.02, "clear")],
)
def test_training_is_not_called_too_short_or_long_enough_by_chance(
    dispute: float, gain: float, wrong: Severity
) -> None:
    rows = 600
    known = measured()

    def find(ahead: int, behind: int) -> Finding:
        shorter, longer = (candidate(1600, 0.9, 0.95, rows), candidate(6400, 0.9, 0.95, rows))
        shorter = shorter.model_copy(update={"score": 0.9 + (behind - ahead) / rows})
        bundle = student([shorter, longer], 1, rows)
        tried = [shorter.model_copy(update={"ahead": behind, "behind": ahead}), longer]
        selection = bundle.selection.model_copy(update={"candidates": tried})  # type: ignore[union-attr]
        bundle = bundle.model_copy(update={"selection": selection})
        return learner.length(replace(known, student=bundle), LEVEL)

    draws = disputed(3, rows, (dispute + gain) / 2, (dispute - gain) / 2)
    assert shares(draws, find).get(wrong, 0.0) <= ALLOWED


@pytest.mark.parametrize(("rows", "least"), [(1000, 0.8), (3000, 0.3)])
def test_a_teacher_is_not_called_miscalibrated_or_calibrated_by_chance(
    rows: int, least: float
) -> None:
    """It is 5 % too sure at every confidence; half of the draws, since bounds take longer here."""
    draws = DRAWS // 2
    generator = np.random.default_rng(4)
    known = measured()
    found: Counter[Severity] = Counter()
    for _ in range(draws):
        confidence = generator.uniform(least, 1, rows)
        right = generator.random(rows) < confidence - teacher.CALIBRATED
        place = (confidence * 15).astype(int)
        bins = [
            CalibrationBin(
                rows=int(there.sum()),
                confidence=float(confidence[there].mean()),
                accuracy=float(right[there].mean()),
            )
            for there in (place == number for number in np.unique(place))
        ]
        evaluation = changed(known.evaluation, "arms.teacher.calibration", bins)
        found[teacher.calibration(replace(known, evaluation=evaluation), LEVEL).severity] += 1
    assert max(found["hint"], found["clear"]) / draws <= ALLOWED
