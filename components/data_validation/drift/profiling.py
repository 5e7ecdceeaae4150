"""The profile of a data set's training rows, from a random sample of them."""

import numpy as np
import numpy.typing as npt

from components.data_validation.evidence import Evidence
from components.data_validation.scan.described import figures
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import TabularInput
from components.shared.results.profile import ColumnProfile, DataProfile

_PARTS = 10
_CATEGORIES = 50

Values = npt.NDArray[np.float32]


def profile_of(evidence: Evidence) -> DataProfile:
    """Describe the labelled and unlabelled rows that are left."""
    manifest, sample = evidence.manifest, evidence.scan.training.values
    given = manifest.input
    parts = given.parts if isinstance(given, TabularInput) else [None] * len(figures(given))
    columns, hidden = [], []
    for number, (name, part) in enumerate(zip(figures(given), parts, strict=True)):
        source = given.names[number] if isinstance(given, TabularInput) else given.names[0]
        if evidence.hides(source):
            hidden.append(source)
        elif not len(sample):
            continue
        elif isinstance(part, CategoricalColumn):
            columns.append(_categories(name, sample[:, number], part.settled))
        else:
            columns.append(_numbers(name, sample[:, number]))
    return DataProfile(
        dataset_digest=manifest.digest,
        rows=evidence.rows_in("labelled", "unlabelled"),
        sampled=len(sample),
        columns=columns,
        hidden=list(dict.fromkeys(hidden)),
        classes=evidence.class_rows("labelled"),
    )


def counted(values: Values, edges: list[float]) -> list[int]:
    """Values in each of the parts that ``edges`` make."""
    places = np.searchsorted(edges, values[~np.isnan(values)], side="right")
    found: list[int] = np.bincount(places, minlength=len(edges) + 1).tolist()
    return found


def counted_categories(values: Values, known: list[str], counted_ones: list[str]) -> list[int]:
    """Rows of each of the categories, and last of all others.

    Args:
        values: codes, NaN where the value is missing.
        known: the categories in the order of their codes.
        counted_ones: those that are counted by themselves.
    """
    codes = np.bincount(values[~np.isnan(values)].astype(np.int64), minlength=len(known) + 1)
    by_name = dict(zip(known, codes.tolist(), strict=False))
    alone = [by_name.get(name, 0) for name in counted_ones]
    return [*alone, int(codes.sum()) - sum(alone)]


def _numbers(name: str, values: Values) -> ColumnProfile:
    there = values[~np.isnan(values)].astype(np.float64)
    edges: list[float] = []
    if len(there):
        inner = np.quantile(there, np.arange(1, _PARTS) / _PARTS, method="inverted_cdf")
        # What lies beyond everything that was seen is a part of its own.
        beyond = np.nextafter(np.float32(there.max()), np.float32(np.inf))
        edges = np.unique([there.min(), *inner, float(beyond)]).tolist()
    return ColumnProfile(
        name=name,
        kind="number",
        categories=[],
        edges=edges,
        counts=counted(values, edges),
        missing=int(np.isnan(values).sum()),
    )


def _categories(name: str, values: Values, known: list[str]) -> ColumnProfile:
    counts = counted_categories(values, known, known)[:-1]
    order = np.argsort(counts, kind="stable")[::-1][:_CATEGORIES]
    alone = sorted(known[number] for number in order)
    return ColumnProfile(
        name=name,
        kind="category",
        edges=[],
        categories=alone,
        counts=counted_categories(values, known, alone),
        missing=int(np.isnan(values).sum()),
    )
