"""How fast the model is, and what its probabilities are worth."""

from components.registration.card.section import Section, paragraphs
from components.registration.submission import Submission
from components.shared.formatting import (
    fraction,
    integer,
    latency,
    level,
    percent,
    points,
    rate,
    size,
)
from components.shared.markdown import table
from components.shared.results import CalibrationBin, Latency, Noise, Percentile

_PROVIDERS = {"cpu": "a CPU", "cuda": "a GPU (CUDA)"}


def speed(submission: Submission) -> Section:
    """Latencies under each condition, and on what they were measured."""
    evaluation = submission.evaluation
    measured = evaluation.measured(submission.decision.candidate)
    provider = _PROVIDERS[submission.recipe.evaluation.latency.provider]
    about = (
        f"ONNX Runtime on {provider}, on the machine that ran the evaluation, all models in turns. "
        "The make of that machine is not recorded: elsewhere, trust the ratios of the models, not "
        f"the milliseconds. {_noise(evaluation.noise)}"
    )
    header = ["Rows in a call", "Threads", "p50", "p95", "p99", "Throughput"]
    rows = [_condition(one) for one in measured.latency]
    footprint = (
        f"The first prediction comes {latency(measured.footprint.cold_start_ms)} after the file is "
        f"opened, and the process has grown by {size(measured.footprint.peak_memory_bytes)} then. "
        f"Intervals are at {level(evaluation.confidence)} confidence."
    )
    return Section("Latency", paragraphs(about, table(header, rows, "rrrrrr"), footprint), 13)


def calibration(submission: Submission) -> Section:
    """Whether probabilities mean what they say."""
    evaluation = submission.evaluation
    measured = evaluation.measured(submission.decision.candidate)
    parts = []
    if "calibration_error" in measured.metrics:
        error = measured.metrics["calibration_error"]
        parts.append(
            f"The expected calibration error is {fraction(error.value)} "
            f"({fraction(error.lower)} to {fraction(error.upper)})."
        )
    rows = sum(one.rows for one in measured.calibration)
    if rows:
        parts += [_lean(measured.calibration, rows), _worst(measured.calibration)]
    text = " ".join(part for part in parts if part)
    return Section("Calibration", text or "Calibration was not measured.", 9)


def _noise(noise: Noise) -> str:
    seen = (
        f"(its speed drifted by {percent(noise.drift, 0)}, and {percent(noise.preempted)} of the "
        "time went to other processes)"
    )
    if noise.noisy:
        return f"It was busy with other work {seen}, so that figures in milliseconds are too high."
    return f"It was quiet {seen}."


def _condition(one: Latency) -> list[str]:
    percentiles = [_percentile(found) for found in (one.p50, one.p95, one.p99)]
    return [integer(one.batch_size), integer(one.threads), *percentiles, rate(one.throughput)]


def _percentile(found: Percentile) -> str:
    return f"{latency(found.value)} ({latency(found.lower)} to {latency(found.upper)})"


def _lean(bins: list[CalibrationBin], rows: int) -> str:
    """Over- or under-confident, all rows together."""
    lean = sum(one.rows * (one.confidence - one.accuracy) for one in bins) / rows
    if round(lean, 3) == 0:
        return "On the whole it is right as often as it claims."
    word = "over-confident" if lean > 0 else "under-confident"
    return (
        f"On the whole it is {word}: its probability for the class that it names is "
        f"{points(abs(lean)).lstrip('+')} {'above' if lean > 0 else 'below'} how often it is right."
    )


def _worst(bins: list[CalibrationBin]) -> str:
    """The bin that costs most."""
    worst = max(bins, key=lambda one: one.rows * abs(one.confidence - one.accuracy))
    return (
        f"It is off most where it claims about {percent(worst.confidence, 0)}: there it is right "
        f"{percent(worst.accuracy, 0)} of the time ({integer(worst.rows)} rows)."
    )
