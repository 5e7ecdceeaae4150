"""The decision in Markdown."""

from typing import Any

from components.evaluation.judging.gate_units import gate_value, unit_of
from components.evaluation.judging.gates import decide
from components.evaluation.reporting.markdown import as_markdown
from components.shared.recipe.gates import Gates
from components.shared.results import Evaluation
from tests.evaluation.judging.evaluation_factory import GOOD, NOISY, Made, changed, make_evaluation
from tests.evaluation.judging.test_gates import ALL_GATES, GATE_PATHS

STUDENT = GOOD["student"]


def explained(evaluation: Evaluation, **sections: Any) -> str:
    decision = decide(evaluation, Gates.model_validate(sections))
    return as_markdown(decision, evaluation).replace("\u00a0", " ")


def test_verdict_gates_candidates_and_power_are_told() -> None:
    evaluation = make_evaluation(
        candidates={
            "float32": Made(STUDENT, size_bytes=60_000),
            "int8_static": Made(STUDENT, latency_ms=0.005, size_bytes=20_000),
        }
    )
    text = explained(
        evaluation,
        champion={"max_regression": 0.02},
        latency={"ratio_to_champion": 1.1},
        size={"max_bytes": 50_000},
    )
    lines = text.splitlines()
    assert lines[0] == "# Promote"
    assert "## Gates of int8_static" in lines
    assert "| Gate | Observed | Bound (97.5 %) | Threshold | Passed |" in lines
    assert "| `gates.size.max_bytes` | 20.0 kB | 20.0 kB | ≤ 50.0 kB | yes |" in lines
    ratio = next(line for line in lines if "ratio_to_champion" in line)
    assert "| 0.50\u00d7 |" in ratio
    assert "| ≤ 1.10\u00d7 | yes |" in ratio
    assert "| float32 | **no** | 95.0 % | 12.0 µs | 60.0 kB |" in lines
    assert "| **int8_static** | yes | 95.0 % | 6.00 µs | 20.0 kB |" in lines
    assert lines[-1].startswith("With 800 test rows, a student exactly as good as the champion")


def test_rejection_tells_every_reason_and_warning() -> None:
    evaluation = make_evaluation(noise=NOISY)
    text = explained(evaluation, accuracy={"min": 0.99}, champion={"max_regression": 0.001})
    assert text.startswith("# Reject\n")
    assert "| `gates.accuracy.min` | 95.0 % |" in text
    assert "- Accuracy is 95 % (lower bound" in text
    assert text.count("- **Warning:** ") == 2
    assert "noisy" in text


def test_what_could_not_be_measured_is_told_too() -> None:
    evaluation = changed(make_evaluation(), "candidates.0.measured.metrics", {})
    evaluation = changed(evaluation, "candidates.0.measured.latency", [])
    text = explained(evaluation, accuracy={"min": 0.9})
    assert "| `gates.accuracy.min` | — | — | ≥ 90.0 % | **no** |" in text
    assert "measured.metrics.accuracy is missing" in text
    text = explained(make_evaluation(candidates={}), accuracy={"min": 0.9})
    assert "There is no candidate to judge." in text
    assert "## Candidates" not in text


def test_names_from_data_cannot_break_the_page() -> None:
    student = Made(STUDENT, slices={"<b>a|b</b>": (40, 50)})
    text = explained(make_evaluation(student=student), worst_slice={"min_accuracy": 0.9})
    assert "region is &#60;b&#62;a&#124;b&#60;/b&#62;" in text


def test_every_gate_has_the_unit_of_its_threshold() -> None:
    assert {path: unit_of(path) for path in GATE_PATHS} == {
        "gates.accuracy.min": "percent",
        "gates.balanced_accuracy.min": "percent",
        "gates.macro_f1.min": "number",
        "gates.auroc.min": "number",
        "gates.log_loss.max": "number",
        "gates.calibration_error.max": "number",
        "gates.agreement.min": "percent",
        "gates.worst_slice.min_accuracy": "percent",
        "gates.retention.min": "percent",
        "gates.champion.max_regression": "points",
        "gates.hard_label.min_gain": "points",
        "gates.latency.p50_ms": "milliseconds",
        "gates.latency.p95_ms": "milliseconds",
        "gates.latency.p99_ms": "milliseconds",
        "gates.latency.ratio_to_champion": "times",
        "gates.latency.ratio_to_teacher": "times",
        "gates.size.max_bytes": "bytes",
        "gates.memory.max_bytes": "bytes",
    }
    assert set(ALL_GATES) == {path.split(".")[1] for path in GATE_PATHS}
    assert gate_value("gates.log_loss.max", 0.25) == "0.250"
    assert gate_value("gates.log_loss.max", None) == "—"
