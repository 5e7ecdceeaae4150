"""Which row goes into which split."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from components.shared.dataset import SPLITS
from components.shared.errors import UserError
from components.shared.recipe import RandomSplit

Indices = npt.NDArray[np.int64]


def random_split(
    labels: Sequence[str | None], classes: Sequence[str], spec: RandomSplit
) -> list[str | None]:
    """Draw a split that is stratified by label and depends on data, ``spec`` and seed alone.

    Counts and fractions divide the rows that have a label. Rows without one come on top, in
    ``unlabelled``. Rows with a label that is not among ``classes`` go to ``labelled``, where
    validation reports them. What is asked for by no split is in none (``None``).

    Args:
        labels: class name of each row.
        classes: the valid class names.
        spec: how many rows each split should have.

    Raises:
        UserError: there are not enough rows, or a class has too few to be divided.
    """
    names = np.asarray(labels, dtype=object)
    valid = set(classes)
    known = np.asarray([label in valid for label in labels], dtype=bool)
    missing = np.asarray([label is None for label in labels], dtype=bool)
    split = np.full(len(labels), None, dtype=object)
    split[missing] = "unlabelled"
    split[~known & ~missing] = "labelled"
    rows = np.flatnonzero(known)
    labelled, unlabelled, test = _counts(spec, len(rows))
    training, test_rows = _draw(rows, names, len(rows) - test, test, spec.seed)
    labelled_rows, unlabelled_rows = _draw(training, names, labelled, unlabelled, spec.seed)
    for name, chosen in zip(SPLITS, (labelled_rows, unlabelled_rows, test_rows), strict=True):
        split[chosen] = name
    return list(split)


def check_split_column(values: Sequence[str | None], column: str) -> None:
    """Check a split that the data bring along; a missing value means: in no split.

    Raises:
        UserError: a value is not the name of a split.
    """
    for row, value in enumerate(values):
        if value is not None and value not in SPLITS:
            raise UserError(
                f"the split column {column!r} has the value {value!r} in row {row}; "
                f"it may be {', '.join(SPLITS)}, or missing"
            )


def _counts(spec: RandomSplit, rows: int) -> tuple[int, int, int]:
    """Rows to put in labelled, unlabelled and test, of ``rows`` that have a label."""
    unlabelled, test = _count(spec.unlabelled, rows), _count(spec.test, rows)
    left = rows - unlabelled - test
    labelled = left if spec.labelled is None else _count(spec.labelled, rows)
    wanted = "the remaining" if spec.labelled is None else str(labelled)
    asked = f"data.split asks for {wanted} labelled, {unlabelled} unlabelled and {test} test rows"
    if labelled > left or left < 0:
        raise UserError(f"{asked}, but only {rows} rows have a label; lower them or use fractions")
    if labelled < 1 or test < 1:
        raise UserError(
            f"{asked} of the {rows} rows with a label; labelled and test need at least one each"
        )
    return labelled, unlabelled, test


def _count(wanted: float, rows: int) -> int:
    # The epsilon keeps 0.29 of 100 rows at 29, which as a float is 28.999999999999996.
    return int(wanted) if wanted >= 1 else math.floor(wanted * rows + 1e-9)


def _draw(
    rows: Indices, labels: npt.NDArray[np.object_], first: int, second: int, seed: int
) -> tuple[Indices, Indices]:
    """Draw two disjoint parts of ``rows`` with the class shares of ``rows``."""
    if first == len(rows):
        return rows, rows[:0]
    counts = Counter(labels[rows])
    other = second or len(rows) - first
    # A handful of rows cannot have every class: those are drawn without regard to it.
    stratified = other >= len(counts)
    if stratified:
        name, fewest = min(counts.items(), key=lambda item: (item[1], item[0]))
        if fewest < 2:
            raise UserError(
                f"class {name!r} has too few rows for a stratified split: {fewest} is left to "
                "divide, and 2 are needed; add rows, remove the class, or set data.split.by: column"
            )
        if first < len(counts):
            raise UserError(
                f"data.split: {first} labelled rows cannot hold each of the {len(counts)} classes"
            )
    first_rows, second_rows = train_test_split(
        rows,
        train_size=first,
        test_size=other,
        random_state=seed,
        stratify=labels[rows] if stratified else None,
    )
    return first_rows, second_rows[:second]
