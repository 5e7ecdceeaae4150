"""How often whole decisions promote, over 2,000 simulated runs each.

The test rows are drawn anew in every run: which of them the champion has right, and which each
candidate has. Seeds are fixed, so that a result stands. Where the true rate is close to what is
asserted, three binomial standard errors of 2,000 runs are allowed for, and said so; that the rate
itself keeps the level is shown without simulation in ``tests/evaluation``.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from components.evaluation.judging.gates import decide
from components.evaluation.judging.power import rows_needed
from components.shared.recipe.gates import Gates
from components.shared.results import ArmName, ArmResult, Evaluation, PairedCounts
from tests.evaluation.judging.evaluation_factory import (
    Made,
    accuracy_estimate,
    make_evaluation,
    right_rows,
)

RUNS = 2000
MARGIN = 0.02
ARMS: tuple[ArmName, ...] = ("teacher", "student", "hard_label", "pseudo_label", "champion")
CHAMPION = 0.9
"""True accuracy of the champion."""
CASES = [(0.025, 1), (0.05, 1), (0.15, 1), (0.05, 4), (0.15, 4)]
"""True shares of rows on which only one of a candidate and the champion is right, and the number of
candidates."""
SHARED = 0.7
"""Share of the rows on which all candidates err by the same luck."""
LEVEL = 0.05
ALLOWED = LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / RUNS)
"""6.5 %."""
POLICY = Gates.model_validate(
    {
        "confidence": 1 - LEVEL,
        "accuracy": {"min": 0.5},
        "champion": {"max_regression": MARGIN},
        "latency": {"p95_ms": 1},
        "size": {"max_bytes": 50_000},
    }
)


@dataclass(frozen=True)
class Truth:
    """What candidates are really like."""

    rows: int
    discordance: float
    difference: float
    """Accuracy of each candidate less the champion's."""
    candidates: int = 1


def promoted(truth: Truth, seed: int = 0) -> float:
    """Share of the runs that promote."""
    generator = np.random.default_rng(seed)
    candidates = {f"form-{number}": Made(right_rows(0)) for number in range(truth.candidates)}
    template = make_evaluation({name: right_rows(0) for name in ARMS}, candidates)
    verdicts = [
        decide(outcome(template, drawn(truth, generator), truth.rows), POLICY).verdict
        for _ in range(RUNS)
    ]
    rate = verdicts.count("promote") / RUNS
    print(f"{truth}: {100 * rate:.2f} % promoted")
    return rate


def drawn(truth: Truth, generator: np.random.Generator) -> list[PairedCounts]:
    """Counts of each candidate and the champion on one test set.

    Every candidate and the champion are multinomial with the true shares. A part of the rows has
    one luck for all candidates, so that they are correlated as forms of one student are.
    """
    only_student = (truth.discordance + truth.difference) / 2
    only_other = (truth.discordance - truth.difference) / 2
    champion = generator.random(truth.rows) < CHAMPION
    luck = generator.random((truth.candidates, truth.rows))
    luck = np.where(generator.random(truth.rows) < SHARED, luck[0], luck)
    chance = np.where(champion, 1 - only_other / CHAMPION, only_student / (1 - CHAMPION))
    return [counted(right, champion) for right in luck < chance]


def counted(right: npt.NDArray[np.bool_], champion: npt.NDArray[np.bool_]) -> PairedCounts:
    both, student, other = (
        int(np.count_nonzero(rows)) for rows in (right & champion, right, champion)
    )
    return PairedCounts(
        both=both,
        only_student=student - both,
        only_other=other - both,
        neither=len(right) - student - other + both,
    )


def outcome(template: Evaluation, tables: list[PairedCounts], rows: int) -> Evaluation:
    """The evaluation of one run; copied and not validated, since that is what takes time."""

    def on(model: ArmResult, right: int) -> ArmResult:
        metrics = {**model.metrics, "accuracy": accuracy_estimate(right, rows)}
        return model.model_copy(update={"rows": rows, "metrics": metrics})

    candidates = [
        candidate.model_copy(
            update={
                "measured": on(candidate.measured, table.both + table.only_student),
                "paired": {"champion": table},
            }
        )
        for candidate, table in zip(template.candidates, tables, strict=True)
    ]
    champion = on(template.arms["champion"], tables[0].both + tables[0].only_other)
    arms = {**template.arms, "champion": champion}
    return template.model_copy(update={"rows": rows, "arms": arms, "candidates": candidates})


@pytest.mark.parametrize(("discordance", "candidates"), CASES)
def test_student_worse_by_the_margin_is_promoted_in_5_percent_of_runs_at_most(
    discordance: float, candidates: int
) -> None:
    """The hardest case that is still a mistake; simulation error is allowed for."""
    truth = Truth(rows=1000, discordance=discordance, difference=-MARGIN, candidates=candidates)
    assert promoted(truth) <= ALLOWED


@pytest.mark.parametrize(("discordance", "candidates"), CASES[1:])
def test_student_worse_than_the_margin_is_promoted_in_5_percent_of_runs_at_most(
    discordance: float, candidates: int
) -> None:
    """Worse by one and a half margins; nothing is allowed for."""
    assert promoted(Truth(1000, discordance, -1.5 * MARGIN, candidates)) <= LEVEL


@pytest.mark.parametrize(("discordance", "candidates"), CASES)
def test_equal_student_is_promoted_in_80_percent_of_runs_with_the_rows_that_power_asks_for(
    discordance: float, candidates: int
) -> None:
    """Simulation error is allowed for."""
    rows = rows_needed(discordance, MARGIN, 1 - LEVEL / candidates)
    assert rows is not None
    rate = promoted(Truth(rows, discordance, 0.0, candidates))
    assert rate >= 0.8 - 3 * math.sqrt(0.8 * 0.2 / RUNS)


def test_equal_student_is_promoted_more_rarely_with_a_quarter_of_those_rows() -> None:
    rows = rows_needed(0.05, MARGIN, 1 - LEVEL)
    assert rows is not None
    assert promoted(Truth(rows // 4, 0.05, 0.0)) < 0.5
