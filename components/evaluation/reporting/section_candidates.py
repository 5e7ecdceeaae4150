"""The report's table of candidates: what each form of the student costs and gains."""

import math
from dataclasses import dataclass

from components.evaluation.latency_bounds import ratio
from components.evaluation.reporting.listing import Model, candidates
from components.shared import formatting
from components.shared.candidates import REFERENCE
from components.shared.results import Decision, Evaluation, Percentile

_CLEARLY_SMALLER = 0.98
"""A file above this share of the float32 file is not called smaller."""


@dataclass(frozen=True)
class CandidateRow:
    """One form of the student, beside the float32 one."""

    model: Model
    difference: str
    """In accuracy."""
    smaller: str
    faster: str
    failed: list[str]
    """Gates that it missed, without the prefix that all have."""
    judged: bool
    chosen: bool


def candidate_rows(evaluation: Evaluation, decision: Decision) -> list[CandidateRow]:
    """Every candidate that was measured, in the order of the recipe."""
    judged = {found.name: found for found in decision.candidates}
    student = evaluation.arms["student"]
    rows = []
    for model in candidates(evaluation, decision):
        itself = model.key == REFERENCE
        result, checks = model.result, judged[model.key].checks if model.key in judged else []
        rows.append(
            CandidateRow(
                model=model,
                difference=""
                if itself
                else formatting.points(result.accuracy - student.accuracy, digits=2),
                smaller="" if itself else smaller(result.size_bytes, student.size_bytes),
                faster=""
                if itself
                else faster(result.latency_ms.p50, student.latency_ms.p50, evaluation.confidence),
                failed=[check.gate.removeprefix("gates.") for check in checks if not check.passed],
                judged=model.key in judged,
                chosen=model.key == decision.candidate,
            )
        )
    return rows


def smaller(count: int, reference: int) -> str:
    """How a file compares with the float32 file, in words.

    Args:
        count: bytes of the file.
        reference: bytes of the float32 file.
    """
    if count <= 0 or reference <= 0:
        return "not measured"
    if count > reference / _CLEARLY_SMALLER:
        return f"{formatting.ratio(count / reference, 2)} larger"
    if count > reference * _CLEARLY_SMALLER:
        return "not smaller"
    return f"{formatting.ratio(reference / count)} smaller"


def faster(latency: Percentile, reference: Percentile, confidence: float) -> str:
    """How fast a model is beside the float32 one, in words: no more than the segments support.

    Args:
        latency: of the model.
        reference: of the float32 student, measured in turn with it.
        confidence: level at which it has to be faster, or slower, to be called so.
    """
    times = [*latency.segments, *reference.segments]
    if not times or len(latency.segments) != len(reference.segments):
        return "not measured"
    if not all(math.isfinite(time) and time > 0 for time in times):
        return "not measured"
    slowdown, bound = ratio(latency, reference, confidence)
    speedup, bound_of_inverse = ratio(reference, latency, confidence)
    if bound < 1:
        return f"{formatting.ratio(speedup, 2)} as fast"
    if bound_of_inverse < 1:
        return f"not faster on this machine: takes {formatting.ratio(slowdown, 2)} as long"
    return "not faster on this machine"
