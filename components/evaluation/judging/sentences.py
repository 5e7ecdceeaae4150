"""What a decision says in words: reasons, summary, warnings. Units are those of the recipe."""

from collections.abc import Sequence
from decimal import Decimal

from components.evaluation.judging import readings
from components.evaluation.judging.gate_list import Gate
from components.evaluation.judging.gate_units import unit_of
from components.evaluation.judging.lookup import UnusableError
from components.evaluation.judging.readings import Reading
from components.shared.formatting import counted
from components.shared.recipe.gates import Gates
from components.shared.results import CandidateDecision, Evaluation, Power


def judged(gate: Gate, reading: Reading, confidence: float, passed: bool) -> str:
    """Why a gate passed or failed."""
    seen = f"{gate.what}{_aside(reading.detail)} is {written(gate.path, reading.observed)}"
    if reading.bound != reading.observed:
        side = "upper" if gate.direction == "at most" else "lower"
        bound = written(gate.path, reading.bound)
        seen += f" ({side} bound {bound} at {_percent(confidence)} confidence)"
    return f"{seen}; {_asked(gate)}, which it {'meets' if passed else 'misses'}."


def not_judged(gate: Gate, why: str) -> str:
    """Why a gate could not be judged, and fails."""
    return f"{gate.what} cannot be judged: {why}; {_asked(gate)}."


def no_candidates(evaluation: Evaluation) -> str:
    """Why there was nothing to judge."""
    skipped = "; ".join(f"{one.name}: {one.reason.rstrip('.')}" for one in evaluation.skipped)
    return f"There is no candidate to judge{f' ({skipped})' if skipped else ''}."


def summary(candidates: Sequence[CandidateDecision], position: int, evaluation: Evaluation) -> str:
    """The verdict in a sentence or two.

    Args:
        candidates: all that were judged, at least one.
        position: of the one that is deployed, or came closest.
        evaluation: what was judged.
    """
    about = candidates[position]
    failed = [check.gate for check in about.checks if not check.passed]
    gates = counted(len(about.checks), "gate")
    passing = sum(candidate.passed for candidate in candidates)
    if failed:
        text = f"{', '.join(failed)} failed ({len(failed)} of {gates})."
        if len(candidates) > 1:
            text = (
                f"None of {len(candidates)} candidates meets every gate; {about.name} comes "
                f"closest: {text}"
            )
    else:
        text = f"meets {'all ' if len(about.checks) > 1 else 'its '}{gates}."
        if len(candidates) == 1:
            text = f"The student {text}"
        else:
            text = f"{about.name} {text} {passing} of {len(candidates)} candidates pass."
    alone = "" if readings.has_champion(evaluation) else " There is no champion to compare with."
    return text + alone


def warnings(evaluation: Evaluation, policy: Gates, power: Power | None) -> list[str]:
    """Whole sentences about what the verdict rests on."""
    found = [_about_noise(evaluation, policy)]
    if power is not None:
        found.append(None if power.sufficient else about_power(power))
        found.append(flattered(evaluation))
    return [sentence for sentence in found if sentence]


def about_power(power: Power) -> str:
    """What the test set can tell about a regression against the champion."""
    chance = (
        f"With {power.rows:,} test rows, a student exactly as good as the champion passes "
        f"gates.champion.max_regression ({_points(power.margin)}) about "
        f"{times_of_100(power.power)} times of 100"
    )
    if power.sufficient:
        return f"{chance}; the smallest margin that gives it 80 is {_points(power.detectable)}."
    if power.rows_needed is None:
        remedy = "no number of rows within reach makes that 80"
    else:
        remedy = f"for 80 times it needs about {power.rows_needed:,} test rows"
    return f"{chance}; {remedy}, or a margin of {_points(power.detectable)}."


def flattered(evaluation: Evaluation) -> str | None:
    """A caution where the champion may have trained on rows that are test rows here."""
    trained_on = evaluation.champion_dataset_digest
    if "champion" not in evaluation.arms or trained_on == evaluation.dataset_digest:
        return None
    if trained_on is None:
        return (
            "It is not recorded which data the champion was trained on; if some of these test rows "
            "were among them, its accuracy here is flattered."
        )
    return (
        "The champion was trained on another data set digest: some of these test rows may have "
        "been among its training rows, which would flatter its accuracy here."
    )


def times_of_100(share: float) -> str:
    """Of 100, rounded down: what is short of 80 must not read 80, nor what is not sure 100."""
    return f"{min(int(100 * share), 99)}"


def written(gate: str, value: float) -> str:
    """A number in the unit of its gate, with enough digits to compare it with the recipe."""
    match unit_of(gate):
        case "percent":
            return _percent(value)
        case "points":
            return _points(value)
        case "milliseconds":
            return f"{_plain(value, 4)} ms"
        case "times":
            return f"{_plain(value, 4)} times"
        case "bytes":
            return f"{value:,.0f} bytes"
        case "number":
            return _plain(value, 4)


def _about_noise(evaluation: Evaluation, policy: Gates) -> str | None:
    try:
        if not readings.noisy(evaluation):
            return None
    except UnusableError as error:
        return f"How quiet the machine was while latencies were measured is not known: {error}."
    noise = evaluation.noise
    text = (
        f"The machine was noisy while latencies were measured (drift {_percent(noise.drift)}, "
        f"preempted {_percent(noise.preempted)}, limit {_percent(noise.limit)})"
    )
    if policy.latency is None or not policy.latency.absolute:
        return f"{text}."
    return {
        "judge": f"{text}: latencies in milliseconds may be too high.",
        "reject": f"{text}: limits in milliseconds fail, since gates.on_noise is reject.",
        "ratio_only": f"{text}: limits in milliseconds are not judged, since gates.on_noise is "
        "ratio_only.",
    }[policy.on_noise]


def _asked(gate: Gate) -> str:
    return f"{gate.path} asks for {gate.direction} {written(gate.path, gate.threshold)}"


def _aside(detail: str) -> str:
    return f", {detail}," if detail else ""


def _percent(value: float) -> str:
    return f"{_plain(100 * value, 4)} %"


def _points(value: float) -> str:
    return f"{_plain(100 * value, 3)} points"


def _plain(value: float, digits: int) -> str:
    """So many significant digits, never in exponent notation."""
    return format(Decimal(f"{value:.{digits}g}"), "f")
