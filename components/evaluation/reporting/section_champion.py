"""The report's comparison with the champion: counts, bounds, test and power."""

from dataclasses import dataclass

from markupsafe import Markup

from components.evaluation.bounds import mcnemar
from components.evaluation.judging.sentences import flattered, times_of_100
from components.evaluation.reporting.chart_interval import interval_plot
from components.evaluation.reporting.listing import subject, subject_name
from components.evaluation.reporting.statements import Comparison, compare, relation
from components.shared.formatting import integer, percent, points, probability, short
from components.shared.results import Decision, Evaluation, PairedCounts, Power

MARGIN_GATE = "gates.champion.max_regression"


@dataclass(frozen=True)
class ChampionSection:
    """The model that the verdict is on against the champion, on the same rows."""

    student: str
    champion: str
    counts: PairedCounts
    sentence: str
    test: str
    gate: str
    """What the margin has to do with it; empty where no gate compares with the champion."""
    drawing: Markup
    power: list[str]
    sufficient: bool
    """Whether the test set is large enough; true where nothing asks."""
    flattered: str | None


def champion_section(evaluation: Evaluation, decision: Decision) -> ChampionSection | None:
    """The comparison; null where no champion was measured."""
    counts = subject(evaluation, decision).paired.get("champion")
    if counts is None or "champion" not in evaluation.arms:
        return None
    student = subject_name(evaluation, decision)
    champion = f"champion version {evaluation.champion_version}"
    comparison = compare(counts, decision.confidence)
    margin = _margin(decision)
    return ChampionSection(
        student=student,
        champion=champion,
        counts=counts,
        sentence=f"{relation(comparison, decision.confidence, student, champion, digits=2)}.",
        test=_test(counts),
        gate=_gate(comparison, margin),
        drawing=interval_plot(comparison, margin, student, champion),
        power=[] if decision.power is None else power_sentences(decision.power),
        sufficient=decision.power is None or decision.power.sufficient,
        flattered=flattered(evaluation),
    )


def power_sentences(power: Power) -> list[str]:
    """How small a regression these rows could have shown, and how many rows it would take."""
    rows = integer(power.rows)
    times = times_of_100(power.power)
    split = f"the two models split on {percent(power.discordance)} of the {rows} test rows"
    chance = (
        f"With that much disagreement ({split}), a student exactly as good as the champion passes "
        f"a margin of {short(points(power.margin, 2)).lstrip('+')} about {times} times of 100."
    )
    smallest = (
        "The smallest regression that this test set can rule out 80 times of 100 is "
        f"{points(power.detectable, 2).lstrip('+')}."
    )
    if power.sufficient:
        return [chance, smallest]
    enough = (
        "no number of rows would be enough"
        if power.rows_needed is None
        else f"about {integer(power.rows_needed)} rows would be needed"
    )
    return [f"This test set is too small for its margin: {enough}.", chance, smallest]


def _margin(decision: Decision) -> float | None:
    """The tolerated regression as a fraction of the rows; null without the gate."""
    found = [check.threshold for check in decision.checks if check.gate == MARGIN_GATE]
    return 0 - found[0] if found else None


def _test(counts: PairedCounts) -> str:
    split = counts.only_student + counts.only_other
    if split == 0:
        return "The two are right on the same rows; there is no disagreement to test."
    return (
        f"They differ on {integer(split)} of {integer(counts.rows)} rows; McNemar's exact test of "
        f"equal accuracy gives {probability(mcnemar(counts))}."
    )


def _gate(comparison: Comparison, margin: float | None) -> str:
    if margin is None:
        return ""
    tolerated = f"a regression of {short(points(margin, 2)).lstrip('+')}"
    bound = points(comparison.lower, 2)
    if comparison.lower >= 0 - margin:
        return (
            f"The gate tolerates {tolerated}, and the lower bound ({bound}) lies within it: the "
            "student is not inferior by more than that."
        )
    return (
        f"The gate tolerates {tolerated}, but the lower bound ({bound}) lies beyond it: a larger "
        "regression cannot be ruled out."
    )
