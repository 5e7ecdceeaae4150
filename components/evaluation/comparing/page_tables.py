"""What the page of a comparison shows in figures and tables."""

from dataclasses import dataclass
from datetime import datetime

from components.evaluation.reporting.section_figures import Tile
from components.shared.formatting import (
    fraction,
    integer,
    interval,
    latency,
    level,
    percent,
    points,
    ratio,
    short,
)
from components.shared.results import ClassShift, Comparison, FreshRows

MOST_CLASSES = 25
"""Classes that are listed, those with the largest shift where there are more."""


@dataclass(frozen=True)
class ClassRow:
    """How often each model predicts a class."""

    shift: ClassShift
    champion: float
    """Share of the rows."""
    challenger: float
    change: str
    """In points."""
    largest: float
    """The largest share of any class that is listed, which bars are drawn against."""


@dataclass(frozen=True)
class ClassTable:
    """The classes that are listed."""

    rows: list[ClassRow]
    left_out: int


def tiles(comparison: Comparison) -> list[Tile]:
    """The figures that a reader looks for first."""
    new, old, rows = comparison.challenger, comparison.champion, comparison.rows
    sure, agreement = level(comparison.confidence), comparison.agreement.estimate
    asked = short(percent(comparison.min_agreement))
    return [
        _difference(comparison),
        Tile(
            "Agreement",
            percent(agreement.value),
            [
                f"{sure} interval {interval(agreement.lower, agreement.upper)}",
                f"at least {asked} where labels do not judge",
            ],
        ),
        Tile(
            "Fresh rows",
            integer(rows.rows),
            [f"{integer(rows.labelled)} with a label", *_span(rows)],
        ),
        Tile(
            "Probabilities apart",
            percent(comparison.total_variation),
            ["mean total variation, 100 % at most", *_divergence(comparison)],
        ),
        Tile(
            "Mean confidence",
            percent(new.mean_confidence),
            [f"champion {percent(old.mean_confidence)}"],
        ),
        Tile(
            "Median latency",
            f"{ratio(comparison.latency_ratio, 2)}",
            [
                f"the champion's, at most {ratio(comparison.latency_ratio_upper, 2)}",
                f"{latency(new.latency.p50.value)}, champion {latency(old.latency.p50.value)}",
            ],
        ),
    ]


def class_table(comparison: Comparison) -> ClassTable:
    """Every class in the order of the outputs; of very many, those that shift most."""
    shifts = comparison.shifts
    if len(shifts) > MOST_CLASSES:
        ranked = sorted(shifts, key=lambda shift: -abs(shift.challenger - shift.champion))
        shifts = ranked[:MOST_CLASSES]
    rows = comparison.rows.rows
    largest = max((max(shift.champion, shift.challenger) for shift in shifts), default=1)
    listed = [
        ClassRow(
            shift=shift,
            champion=shift.champion / rows,
            challenger=shift.challenger / rows,
            change=points((shift.challenger - shift.champion) / rows, 2, ""),
            largest=max(largest, 1) / rows,
        )
        for shift in shifts
    ]
    return ClassTable(listed, len(comparison.shifts) - len(listed))


def origin(rows: FreshRows) -> dict[str, str]:
    """Where the rows come from, and what was left out."""
    facts = {
        "Source": rows.source,
        "Rows found": integer(rows.found),
        "Since": _moment(rows.since) if rows.since else "no time column was named",
        "Labels": f"column {rows.label_column}" if rows.label_column else "none",
        "Named by": f"column {rows.id_column}" if rows.id_column else "position in the files",
    }
    left_out = {
        "Left out: earlier": rows.earlier,
        "Left out: without a time": rows.undated,
        "Left out: with the id of another row": rows.repeated,
        "Left out: trained or tested on": rows.left_out_known,
    }
    facts |= {name: integer(count) for name, count in left_out.items() if count}
    for known in rows.known:
        seen = known.why_unknown if known.rows is None else f"{integer(known.rows)} by their ids"
        facts[f"Known to the {known.role}"] = seen
    return facts


def provenance(comparison: Comparison) -> dict[str, str]:
    """Runs and content hashes, by what they identify."""
    facts = {"Fresh rows": comparison.rows.digest}
    for name, model in (
        ("Challenger", comparison.challenger),
        ("Champion", comparison.champion),
    ):
        if model.run_id is not None:
            facts[f"{name}, run"] = model.run_id
        facts[f"{name}, ONNX file"] = model.model_digest
        facts[f"{name}, data set"] = model.dataset_digest
    return facts


def _difference(comparison: Comparison) -> Tile:
    labelled = comparison.labelled
    if labelled is None:
        return Tile("Accuracy", "not known", ["no fresh row has a label"])
    new, old = (
        percent(model.metrics["accuracy"].value)
        for model in (comparison.challenger, comparison.champion)
    )
    bounds = f"{points(labelled.lower, unit='')} and {points(labelled.upper, unit='')}"
    return Tile(
        "Accuracy difference",
        points(labelled.difference, unit=""),
        [
            f"points, with {level(comparison.confidence)} bounds {bounds}",
            f"{new}, champion {old}",
        ],
    )


def _divergence(comparison: Comparison) -> list[str]:
    found = comparison.kl_divergence
    return [] if found is None else [f"KL divergence {fraction(found.value)} nats"]


def _span(rows: FreshRows) -> list[str]:
    if rows.first is None or rows.last is None:
        return []
    return [f"{rows.first:%Y-%m-%d} to {rows.last:%Y-%m-%d}"]


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"
