"""The report of a run: one HTML page that needs nothing but itself."""

import math
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.evaluation import chart_tradeoff, confusion, formatting, statements
from components.evaluation.arm_titles import MEANINGS, arm_titles
from components.evaluation.chart_panels import gap_bar, learning_curve, reliability
from components.evaluation.charts import Frame, marker, tag
from components.shared.bundle import ModelBundle
from components.shared.recipe.models import ModelSpec
from components.shared.results import ArmName, Decision, Evaluation

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReportContext:
    """The run that a report is about."""

    recipe: str
    seed: int
    run_id: str
    model: str
    """Name in the registry."""
    source: str
    """Where the data set was resolved from."""
    created: datetime
    digests: dict[str, str] = field(default_factory=dict)
    """Content hashes beside those of evaluation and bundles, by what they identify."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the software that measured, by name."""


@dataclass(frozen=True)
class Tile:
    """One key figure."""

    label: str
    value: str
    notes: list[str]


@dataclass(frozen=True)
class Training:
    """How one arm was trained: its curve and what it chose among."""

    name: ArmName
    title: str
    network: str
    bundle: ModelBundle
    curve: Markup


def render_report(
    evaluation: Evaluation,
    decision: Decision,
    bundles: dict[ArmName, ModelBundle],
    context: ReportContext,
) -> str:
    """Write the report.

    Args:
        evaluation: what was measured.
        decision: the verdict on it.
        bundles: how teacher, student, hard_label and pseudo_label were trained.
        context: the run.

    Returns:
        An HTML page without scripts and without references to anything outside of it.
    """
    titles = arm_titles(evaluation)
    student = evaluation.arms["student"]
    template = _environment().get_template("report.html.j2")
    return template.render(
        evaluation=evaluation,
        decision=decision,
        context=context,
        titles=titles,
        meanings=MEANINGS,
        failed=[check for check in decision.checks if not check.passed],
        finding=statements.distillation(evaluation),
        champion=statements.champion(evaluation),
        flattered=statements.flattered(evaluation),
        gap_bar=gap_bar(evaluation),
        tiles=key_figures(evaluation),
        tradeoff_wide=_tradeoff(evaluation, decision, titles, chart_tradeoff.WIDE, "wide"),
        tradeoff_narrow=_tradeoff(evaluation, decision, titles, chart_tradeoff.NARROW, "narrow"),
        training=[_training(name, titles[name], bundle) for name, bundle in _ordered(bundles)],
        few_classes=len(evaluation.classes) <= confusion.MOST_CLASSES,
        matrix=confusion.matrix(student, evaluation.classes),
        confused=confusion.most_confused(student, evaluation.classes),
        class_results=student.per_class
        if len(evaluation.classes) <= confusion.MOST_CLASSES
        else confusion.worst_first(student),
        reliability={
            name: reliability(evaluation.arms[name], name, titles[name])
            for name in ("student", "teacher")
        },
        digests=_digests(evaluation, decision, bundles, titles) | context.digests,
        leaning={name: leaning(evaluation, name) for name in ("student", "teacher")},
    )


def key_figures(evaluation: Evaluation) -> list[Tile]:
    """The figures that a reader looks for first."""
    student, teacher = evaluation.arms["student"], evaluation.arms["teacher"]
    level = formatting.percent(evaluation.confidence, 0)
    inside = student.accuracy_interval
    beside = teacher.accuracy_interval
    p95, teacher_p95 = student.latency_ms.p95.value, teacher.latency_ms.p95.value
    return [
        Tile(
            "Student accuracy",
            formatting.percent(student.accuracy),
            [
                f"{level} interval {formatting.interval(inside.lower, inside.upper)}",
                f"{formatting.integer(student.rows)} test rows",
            ],
        ),
        Tile(
            "Teacher accuracy",
            formatting.percent(teacher.accuracy),
            [f"{level} interval {formatting.interval(beside.lower, beside.upper)}"],
        ),
        Tile(
            "Gap recovered",
            "no gap"
            if evaluation.gap_recovered is None
            else formatting.percent(evaluation.gap_recovered, 0),
            ["from the hard-label arm to the teacher"],
        ),
        Tile(
            "Retention",
            formatting.percent(evaluation.retention),
            ["of the teacher's accuracy is kept"],
        ),
        Tile(
            "Latency, p95",
            formatting.latency(p95),
            [_speed(p95, teacher_p95), f"teacher {formatting.latency(teacher_p95)}"],
        ),
        Tile(
            "File size",
            formatting.size(student.size_bytes),
            [
                f"{_times(teacher.size_bytes, student.size_bytes, 'smaller', 'larger')} "
                "than the teacher",
                f"{formatting.integer(student.parameters)} parameters, "
                f"{_times(teacher.parameters, student.parameters, 'fewer', 'more')}",
            ],
        ),
    ]


def leaning(evaluation: Evaluation, arm: ArmName) -> str:
    """Whether an arm claims too much or too little, in a sentence."""
    result = evaluation.arms[arm]
    rows = sum(part.rows for part in result.calibration)
    if rows == 0:
        return "No row was measured."
    claimed = sum(part.rows * part.confidence for part in result.calibration) / rows
    held = sum(part.rows * part.accuracy for part in result.calibration) / rows
    if not math.isfinite(claimed - held):
        return "Its confidence is not finite."
    word = "over-confident" if claimed > held else "under-confident"
    if abs(claimed - held) < 0.005:
        word = "neither over- nor under-confident"
    return (
        f"On average it claims {formatting.percent(claimed)} and is right in "
        f"{formatting.percent(held)}: {word}."
    )


def describe_network(spec: ModelSpec) -> str:
    """An architecture in a few words."""
    if spec.family == "mlp":
        return f"MLP, hidden {_list(spec.hidden)}, {spec.activation}"
    return f"CNN, channels {_list(spec.channels)}, hidden {spec.hidden}"


def _list(values: list[int]) -> str:
    return "-".join(map(str, values))


def _speed(student: float, teacher: float) -> str:
    if not (math.isfinite(student) and math.isfinite(teacher)) or min(student, teacher) <= 0:
        return "no speed-up was measured"
    if student <= teacher:
        return f"{formatting.ratio(teacher / student)} as fast as the teacher"
    return f"{formatting.ratio(student / teacher)} slower than the teacher"


def _times(teacher: int, student: int, less: str, more: str) -> str:
    if student <= teacher:
        return f"{formatting.ratio(teacher / max(student, 1))} {less}"
    return f"{formatting.ratio(student / max(teacher, 1))} {more}"


def _ordered(bundles: dict[ArmName, ModelBundle]) -> list[tuple[ArmName, ModelBundle]]:
    return [(name, bundles[name]) for name in MEANINGS if name in bundles]


def _digests(
    evaluation: Evaluation,
    decision: Decision,
    bundles: dict[ArmName, ModelBundle],
    titles: dict[ArmName, str],
) -> dict[str, str]:
    """Content hashes by what they identify, from data to deployed file."""
    digests = {"Data set measured on": evaluation.dataset_digest}
    if evaluation.champion_dataset_digest is not None:
        digests["Champion's data set"] = evaluation.champion_dataset_digest
    store = bundles["student"].soft_labels_digest
    if store is not None:
        digests["Soft-label store"] = store
    for name, bundle in _ordered(bundles):
        digests[f"{titles[name]}, model bundle"] = bundle.digest
    for name, title in titles.items():
        digests[f"{title}, ONNX file"] = evaluation.arms[name].model_digest
    return digests | {"ONNX file the verdict is on": decision.student_digest}


def _training(name: ArmName, title: str, bundle: ModelBundle) -> Training:
    curve = learning_curve(bundle.curve, name, title)
    return Training(name, title, describe_network(bundle.model), bundle, curve)


def _tradeoff(
    evaluation: Evaluation,
    decision: Decision,
    titles: dict[ArmName, str],
    frame: Frame,
    which: str,
) -> Markup:
    ident = f"tradeoff-{which}"
    return chart_tradeoff.tradeoff_chart(evaluation, decision, titles, frame, ident)


def _gate_limit(gate: str, threshold: float) -> str:
    return formatting.short(formatting.gate_value(gate, threshold))


def _swatch(arm: ArmName) -> Markup:
    """The symbol of an arm beside its name; decoration, so hidden from screen readers."""
    symbol = marker(arm, 9, 9)
    return tag("svg", symbol, viewBox="0 0 18 18", class_="swatch", aria_hidden="true")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": formatting.percent,
        "points": formatting.points,
        "latency": formatting.latency,
        "size": formatting.size,
        "integer": formatting.integer,
        "fraction": formatting.fraction,
    }
    environment.globals |= {
        "gate_value": formatting.gate_value,
        "gate_limit": _gate_limit,
        "interval": formatting.interval,
        "swatch": _swatch,
    }
    return environment
