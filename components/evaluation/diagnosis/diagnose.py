"""All questions about a distillation, answered."""

from components.evaluation.diagnosis import pool, student, teacher
from components.evaluation.diagnosis.measured import Measured
from components.shared.results.diagnosis import Diagnosis

QUESTIONS = 9
"""Among which the chance of an error is divided."""


def diagnose(measured: Measured) -> Diagnosis:
    """Answer all questions, each from a measurement.

    No answer rests on less than a confidence bound, but hints about length, which say so, and none
    on a choice that is not allowed for.

    Args:
        measured: at least one test row.
    """
    confidence = measured.evaluation.confidence
    level = 1 - (1 - confidence) / QUESTIONS
    findings = [
        student.helped(measured, level),
        teacher.lead(measured, level),
        teacher.calibration(measured, level),
        student.capacity(measured, level),
        student.length(measured, level),
        student.saturation(measured, level),
        pool.pool_size(measured, level),
        pool.coverage(measured),
        pool.confidence(measured, level),
    ]
    return Diagnosis(confidence=confidence, level=level, findings=findings)
