"""What the trials of a comparison say together; pure functions."""

from collections.abc import Sequence
from datetime import datetime

from components.shared.bundle import Candidate
from components.shared.formatting import counted, level, percent, points, points_interval
from components.shared.recipe.objectives import described, shown
from components.shared.results import ArmName
from pipelines.comparing.records import Contender, LeftOut, Mean, MethodComparison, Trial
from pipelines.comparing.statistics import mean_of, standing

CONFIDENCE = 0.95


def compared(
    recipe: str,
    source: str,
    own_splits: bool,
    methods: Sequence[str],
    trials: Sequence[Trial],
    created: datetime,
    left_out: Sequence[LeftOut] = (),
) -> MethodComparison:
    """Put the trials together.

    Args:
        recipe: its name.
        source: where the data are.
        own_splits: whether each seed has a random split of its own.
        methods: that ran on every seed, in the order in which they are shown.
        trials: of every method on every seed, seed by seed.
        created: the time.
        left_out: methods that did not run.
    """
    of_one = [trial for trial in trials if trial.method == methods[0]]
    arms: tuple[ArmName, ...] = ("teacher", "hard_label", "pseudo_label")
    contenders = [_of_arm(arm, of_one) for arm in arms]
    contenders += [
        _of_method(method, [trial for trial in trials if trial.method == method])
        for method in methods
    ]
    sentences = [_sentence(one) for one in contenders if one.kind == "method"]
    if not own_splits and len(of_one) > 1:
        sentences.append("All seeds have the same rows: the intervals are of training alone.")
    return MethodComparison(
        recipe=recipe,
        created=created,
        confidence=CONFIDENCE,
        seeds=[trial.seed for trial in of_one],
        own_splits=own_splits,
        source=source,
        test_rows=of_one[0].rows,
        contenders=contenders,
        sentences=sentences,
        trials=list(trials),
        left_out=list(left_out),
    )


def _of_arm(arm: ArmName, trials: Sequence[Trial]) -> Contender:
    """A baseline or the teacher, which all methods of a seed share."""
    other = arm == "pseudo_label"
    gain = _mean([_gain(trial, arm) for trial in trials]) if other else None
    return Contender(
        name=arm,
        kind=arm,
        accuracy=mean_of([trial.accuracy(arm) for trial in trials], CONFIDENCE),
        gap_recovered=_gap_recovered(trials, arm) if other else None,
        gain=gain,
        standing=standing(gain) if gain else None,
        agreement=None if arm == "teacher" else _agreement(trials, arm),
        chosen=[],
        seconds=None,
    )


def _of_method(method: str, trials: Sequence[Trial]) -> Contender:
    gain = mean_of([_gain(trial, "student") for trial in trials], CONFIDENCE)
    return Contender(
        name=method,
        kind="method",
        accuracy=mean_of([trial.accuracy("student") for trial in trials], CONFIDENCE),
        gap_recovered=_gap_recovered(trials, "student"),
        gain=gain,
        standing=standing(gain),
        agreement=_agreement(trials, "student"),
        chosen=[in_words(trial.chosen) for trial in trials],
        seconds=sum(trial.seconds for trial in trials) / len(trials),
    )


def in_words(chosen: Candidate) -> str:
    """What a student was trained by in the end."""
    parts = [described(chosen.method)]
    if chosen.temperature is not None:
        parts.append(f"temperature {shown(chosen.temperature)}")
    if chosen.weight is not None:
        parts.append(f"weight {chosen.weight:g}")
    return ", ".join([*parts, f"{chosen.steps:,} steps"])


def _gain(trial: Trial, arm: ArmName) -> float:
    return trial.accuracy(arm) - trial.accuracy("hard_label")


def _gap_recovered(trials: Sequence[Trial], arm: ArmName) -> Mean | None:
    """Share of the distance from hard-label arm to teacher; null where one seed has none, or the
    seeds do not show one: shares of what may be nothing say nothing."""
    gaps = [_gain(trial, "teacher") for trial in trials]
    if min(gaps) <= 0 or (len(gaps) > 2 and standing(mean_of(gaps, CONFIDENCE)) != "ahead"):
        return None
    return mean_of(
        [_gain(trial, arm) / gap for trial, gap in zip(trials, gaps, strict=True)], CONFIDENCE
    )


def _agreement(trials: Sequence[Trial], arm: ArmName) -> Mean | None:
    return _mean([trial.arms[arm].get("agreement") for trial in trials])


def _mean(values: Sequence[float | None]) -> Mean | None:
    known = [value for value in values if value is not None]
    return mean_of(known, CONFIDENCE) if known else None


def _sentence(one: Contender) -> str:
    """How much of the gap was recovered, with which confidence, and whether it helped."""
    helped = {
        "ahead": "distillation helped",
        "level": "whether distillation helped is not shown",
        "behind": "distillation made the student worse",
    }
    gap, gain = one.gap_recovered, one.gain
    if gain is None or one.standing is None:
        raise ValueError(f"{one.name} is compared with itself")
    closing = f"{helped[one.standing]}: {points(gain.mean)} over labels alone"
    if gain.interval is not None:
        closing += f", {points_interval(gain.interval.lower, gain.interval.upper)}"
    if gap is None:
        return (
            f"{one.name}: no gap to close, since the teacher is not shown to be ahead of labels "
            f"alone; {closing}."
        )
    seeds = counted(len(gap.values), "seed")
    recovered = f"{one.name} recovers {percent(gap.mean, 0)} of the gap over {seeds}"
    if gap.interval is not None:
        recovered += (
            f" ({level(CONFIDENCE)} interval {percent(gap.interval.lower, 0)} to "
            f"{percent(gap.interval.upper, 0)})"
        )
    return f"{recovered}; {closing}."
