"""The templates of pages, with the filters and functions that they use."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.evaluation.judging.gate_units import gate_value
from components.evaluation.reporting import section_slices
from components.evaluation.reporting.charts import marker, tag
from components.evaluation.reporting.listing import Look
from components.shared import formatting
from components.shared.recipe.objectives import shown

_TEMPLATES = Path(__file__).parent / "templates"


def _gate_limit(gate: str, threshold: float) -> str:
    return formatting.short(gate_value(gate, threshold))


def _swatch(look: Look, hollow: bool = False, ring: bool = False) -> Markup:
    """The symbol of a model beside its name; decoration, so hidden from screen readers."""
    symbol = marker(look, 9, 9, 4.2 if ring else 6.5, hollow, ring)
    return tag("svg", symbol, viewBox="0 0 18 18", class_="swatch", aria_hidden="true")


@cache
def environment(*folders: Path) -> Environment:
    """All templates; a name that one uses and is not given is an error.

    Args:
        folders: of further templates, which may build on those here.
    """
    environment = Environment(
        loader=FileSystemLoader([*folders, _TEMPLATES]),
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
        "rate": formatting.rate,
        "scheduled": shown,
    }
    environment.globals |= {
        "gate_value": gate_value,
        "gate_limit": _gate_limit,
        "interval": formatting.interval,
        "most_slices": section_slices.MOST_VALUES,
        "swatch": _swatch,
    }
    return environment
