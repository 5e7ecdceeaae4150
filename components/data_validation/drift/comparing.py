"""The training rows against the profile of the champion's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from components.data_validation.drift.distances import Distance, stability_index, total_variation
from components.data_validation.drift.profiling import counted, counted_categories
from components.data_validation.evidence import Evidence
from components.data_validation.scan.described import figures
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import TabularInput
from components.shared.recipe.validation import DriftSpec
from components.shared.records import read_record
from components.shared.results.profile import DATA_PROFILE, ColumnProfile, DataProfile

CLASSES = "the classes"


def champion_profile(folder: Path | None) -> tuple[DataProfile | None, str | None]:
    """The profile in a champion's folder, or why there is none.

    Raises:
        UserError: it is damaged.
    """
    if folder is None:
        return None, None
    path = folder / DATA_PROFILE
    if not path.is_file():
        return None, "drift: not looked at, since there is no champion with a data profile"
    return read_record(path, DataProfile, "data profile"), None


def drift_frame(spec: DriftSpec, evidence: Evidence, before: DataProfile) -> pd.DataFrame:
    """One row for each column that both have, and one for the class shares.

    ``subject``, ``kind`` (``column`` or ``classes``), ``distance`` (population stability index, or
    total variation), ``p_value``, and ``judged``: the distance where a chi-squared test at the
    level of the recipe, divided by the number of rows here, says that it is no chance; else 0.
    """
    found = dict(_columns(evidence, before))
    now = evidence.class_rows("labelled")
    names = sorted({*before.classes, *now})
    classes = total_variation(
        np.asarray([before.classes.get(name, 0) for name in names], dtype=np.float64),
        np.asarray([now.get(name, 0) for name in names], dtype=np.float64),
    )
    level = spec.significance / (len(found) + 1)
    rows = [
        {
            "subject": subject,
            "kind": "classes" if subject == CLASSES else "column",
            "distance": distance.value,
            "p_value": distance.p_value,
            "judged": distance.value if distance.p_value < level else 0.0,
        }
        for subject, distance in {**found, CLASSES: classes}.items()
    ]
    return pd.DataFrame(rows)


def differing_columns(evidence: Evidence, before: DataProfile) -> list[str]:
    """What could not be compared, in words."""
    known = {column.name for column in before.columns} | set(before.hidden)
    hidden = [name for name in evidence.manifest.input.names if evidence.hides(name)]
    new = [name for name in figures(evidence.manifest.input) if name not in known]
    notes = []
    if new:
        notes.append(f"drift: the champion's data have no column {', '.join(map(repr, new))}")
    if hidden:
        notes.append(f"drift: not looked at in the sensitive {', '.join(map(repr, hidden))}")
    return notes


def _columns(evidence: Evidence, before: DataProfile) -> Iterator[tuple[str, Distance]]:
    given, sample = evidence.manifest.input, evidence.scan.training.values
    known = {column.name: column for column in before.columns}
    for number, name in enumerate(figures(given)):
        source = given.names[number] if isinstance(given, TabularInput) else given.names[0]
        if name not in known or evidence.hides(source) or not len(sample):
            continue
        part = given.parts[number] if isinstance(given, TabularInput) else None
        column, values = known[name], sample[:, number]
        if (column.kind == "category") is not isinstance(part, CategoricalColumn):
            continue
        if isinstance(part, CategoricalColumn):
            counts = counted_categories(values, part.settled, column.categories)
        else:
            counts = counted(values, column.edges)
        yield name, stability_index(_with_missing(column), _all(counts, values))


def _with_missing(column: ColumnProfile) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray([*column.counts, column.missing], dtype=np.float64)


def _all(
    counts: list[int], values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray([*counts, np.isnan(values).sum()], dtype=np.float64)
