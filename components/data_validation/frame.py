"""The data frames that Great Expectations looks at: small ones, whatever the size of the data.

What is expected of every row is judged on *witnesses*, which are rows of the data: the first of
each split and class, those with the extreme values, and examples of whatever is wrong with any row.
So the verdict on the witnesses is the verdict on all rows. What is expected of a split is judged on
merged figures, one row for each split and class.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from components.data_validation.columns import OTHER, Role, feature_roles, kind_of
from components.data_validation.evidence import Evidence
from components.data_validation.scan.faults import HELPERS
from components.shared.arrow_types import parse_type
from components.shared.dataset import SPLITS, DatasetManifest

PARTNERS = {
    "shared_id": "same_id_in",
    "copied_test_row": "same_features_as",
    "nearly_copied_test_row": "nearly_same_features_as",
    "conflicting_labels": "other_label_than",
}
"""Where the frame of rows names the other row that a row is equal to, by fault."""


def schema_frame(evidence: Evidence) -> pd.DataFrame:
    """One row for each column that was read: ``column``, ``role``, ``type`` and ``kind``."""
    manifest = evidence.manifest
    roles = used_columns(manifest)
    names = [name for name in evidence.scan.types if name in roles]
    types = [evidence.scan.types[name] for name in names]
    return pd.DataFrame(
        {
            "column": _objects(names),
            "role": _objects(roles[name] for name in names),
            "type": _objects(types),
            "kind": _objects(_kind(kind) for kind in types),
        }
    )


def _kind(type_name: str) -> str:
    try:
        return kind_of(parse_type(type_name))
    except ValueError:
        return OTHER


def used_columns(manifest: DatasetManifest) -> dict[str, Role]:
    """The columns that must be there, with what they are used for."""
    return {
        manifest.id: "id",
        manifest.label: "label",
        **feature_roles(manifest.input),
        "split": "split",
    }


def rows_frame(evidence: Evidence) -> pd.DataFrame:
    """One row for each witness, in the order of the data.

    The column of a fault that a row does not have holds null.
    """
    witnesses = sorted(evidence.scan.witnesses.values(), key=lambda witness: witness.position)
    ids = _ids(evidence)
    extremes = [evidence.shown_extremes(witness) for witness in witnesses]
    columns = {
        "row": _objects(witness.position for witness in witnesses),
        "id": _objects(ids[witness.position] for witness in witnesses),
        "split": _objects(witness.split for witness in witnesses),
        "label": _objects(witness.label for witness in witnesses),
        "smallest": pd.Series([low for low, _ in extremes], dtype=np.float64),
        "largest": pd.Series([high for _, high in extremes], dtype=np.float64),
    }
    for helper in HELPERS.values():
        columns[helper] = _objects(witness.notes.get(helper) for witness in witnesses)
    for fault, helper in PARTNERS.items():
        partners = dict(evidence.tally(fault).pairs)
        columns[helper] = _objects(
            evidence.name(partners[witness.position]) if witness.position in partners else None
            for witness in witnesses
        )
    return pd.DataFrame(columns)


def splits_frame(evidence: Evidence) -> pd.DataFrame:
    """One row for each class of each split, or one where a split has no row of any class.

    ``split_rows`` and the shares of copied rows are the same throughout a split, null where there
    is nothing to take a share of; ``taken_out``, a share of all rows, is the same throughout.
    """
    found = []
    for split in SPLITS:
        total = evidence.scan.split_rows(split)
        shares = {
            name: evidence.share_of_test(name) if split == "test" else np.nan
            for name in ("copied_test_row", "nearly_copied_test_row")
        }
        classes: dict[str | None, int | None] = dict(evidence.class_rows(split).items())
        classes = classes or {None: None}
        taken = len(evidence.scan.taken.positions)
        for name, rows in classes.items():
            found.append(
                {
                    "split": split,
                    "label": name,
                    "class_rows": np.nan if rows is None else float(rows),
                    "class_share": np.nan if rows is None else rows / total,
                    "split_rows": float(total),
                    "taken_out": taken / max(taken + evidence.rows_in(*SPLITS), 1),
                    **shares,
                }
            )
    frame = pd.DataFrame(found)
    return frame.assign(
        split=_objects(frame["split"]), label=_objects(row["label"] for row in found)
    )


def _ids(evidence: Evidence) -> dict[int, str | None]:
    """Ids by position; hidden ones are replaced by the position of the first row that has it."""
    witnesses = evidence.scan.witnesses
    hidden = evidence.hides(evidence.manifest.id)
    first: dict[str, int] = {}
    found: dict[int, str | None] = {}
    for position in sorted(witnesses):
        row_id = witnesses[position].id
        if row_id is None:
            found[position] = None
            continue
        shown = f"that of row {first.setdefault(row_id, position)}" if hidden else row_id
        # Such a row is not among those with the id of another.
        out = position in evidence.scan.out_before
        found[position] = f"{shown} (row {position}, taken out)" if out else shown
    return found


def _objects(values: Iterable[object]) -> pd.Series:
    """A column that keeps ``None``, which pandas would turn into NaN."""
    return pd.Series(list(values), dtype=object)
