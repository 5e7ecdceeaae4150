"""A suite inferred from a reference data set: a start that is kept in the repository and edited."""

import tempfile
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from components.data_validation.custom.own import OwnExpectations
from components.data_validation.evidence import Evidence
from components.data_validation.scan.gathering import scan_of
from components.shared.dataset import Dataset
from components.shared.recipe import ValidationSpec
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import TabularInput

_WIDER = 0.1
"""Ranges are so much wider on both sides than what was seen, as a share of it."""
_DIGITS = 6
"""Of the ends of a range."""
_ROUNDED = 2**-23
"""Most that a value which was seen as a 32-bit float may be off, as a share of it."""
_TOLERATED = 0.001
"""Share of later values that may be outside."""


def infer_suite(folder: Path, sensitive: list[str] | None = None) -> str:
    """YAML for ``validation.suite``: what holds in a data set, with some room.

    Args:
        folder: the data set, as :func:`components.data_validation.resolve.resolve` wrote it.
        sensitive: columns whose values must not be written down; they only have to be there.

    Raises:
        UserError: a shard is gone, damaged, or changed.
        StorageFailed: the data are out of reach.
    """
    manifest = Dataset.open(folder).manifest
    spec = ValidationSpec(sensitive=sensitive or [])
    with tempfile.TemporaryDirectory(prefix="kubedistill-docs-") as docs:
        evidence = Evidence(
            scan_of(manifest, folder, spec, OwnExpectations(spec, Path(docs))), spec
        )
    header = (
        f"# Inferred from {manifest.source} (digest {manifest.digest[:12]}). Edit it: what is\n"
        "# tolerated, and whether a failure is to fail, warn or quarantine, is for people to say.\n"
    )
    listed = list(_expectations(evidence))
    return header + yaml.safe_dump(listed, sort_keys=False, allow_unicode=True)


def _expectations(evidence: Evidence) -> Iterator[dict[str, Any]]:
    given, sample = evidence.manifest.input, evidence.scan.training.values
    if not isinstance(given, TabularInput):
        yield _not_null(given.column, 0.0)
        return
    for number, part in enumerate(given.parts):
        yield _not_null(part.name, float(np.isnan(sample[:, number]).mean()) if len(sample) else 0)
        if evidence.hides(part.name):
            continue
        if isinstance(part, CategoricalColumn):
            yield {
                "expectation": "expect_column_values_to_be_in_set",
                "column": part.name,
                "value_set": part.settled,
                "mostly": 1 - _TOLERATED,
                "on_failure": "warn",
            }
        elif np.isfinite(evidence.scan.lowest[part.name]):
            low, high = _range(evidence.scan.lowest[part.name], evidence.scan.highest[part.name])
            yield {
                "expectation": "expect_column_values_to_be_between",
                "column": part.name,
                "min_value": low,
                "max_value": high,
                "mostly": 1 - _TOLERATED,
                "on_failure": "warn",
            }


def _range(low: float, high: float) -> tuple[float, float]:
    """A wider range of few digits, which holds all that was seen to be between two values."""
    room = _WIDER * (high - low)
    return (
        _few_digits(low - room - _ROUNDED * abs(low), ROUND_FLOOR),
        _few_digits(high + room + _ROUNDED * abs(high), ROUND_CEILING),
    )


def _few_digits(value: float, rounding: str) -> float:
    return float(Context(prec=_DIGITS, rounding=rounding).create_decimal_from_float(value))


def _not_null(column: str, missing: float) -> dict[str, Any]:
    found: dict[str, Any] = {
        "expectation": "expect_column_values_to_not_be_null",
        "column": column,
        "on_failure": "fail",
    }
    if missing:
        found["mostly"] = round(max(0.001, 1 - 2 * missing - _TOLERATED), 3)
    return found
