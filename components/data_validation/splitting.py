"""Which row goes into which split."""

import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.data_validation.labels import Labels
from components.shared.errors import UserError
from components.shared.lookup import look_up
from components.shared.manifest import NO_SPLIT, SPLITS, SplitNumbers
from components.shared.recipe import RandomSplit

Counts = npt.NDArray[np.int64]
"""One number of rows for each class that occurs."""
LABELLED, UNLABELLED, TEST = (SPLITS.index(name) for name in ("labelled", "unlabelled", "test"))
_FOREIGN = -2
_HASHED_AT_ONCE = 65_536


def random_split(
    ids: pa.ChunkedArray, labels: Labels, classes: Sequence[str], spec: RandomSplit
) -> SplitNumbers:
    """Draw a split that is stratified by label and changes little when rows are added.

    Each class is put into the order of a hash of seed and id. Test rows are taken from the front of
    that order, labelled rows from its back, unlabelled rows from before the labelled ones; what no
    split asks for lies between. So test rows do not depend on the sizes of the training splits,
    labelled rows have one neighbour only, and a row changes its split only where added rows move a
    boundary past it. The order of the rows does not matter, but among rows with the same id.

    Counts and fractions divide the rows that have a label. Rows without one come on top, in
    ``unlabelled``. Rows with a label that is not among ``classes`` go to ``labelled``, where
    validation reports them. What is asked for by no split is in none.

    Args:
        ids: name of each row, as text.
        labels: class name of each row.
        classes: the valid class names.
        spec: how many rows each split should have.

    Raises:
        UserError: there are not enough rows, or a class has too few to be divided.
    """
    names = sorted(set(classes) & labels.occurring())
    code_of = {name: code for code, name in enumerate(names)}
    # The last one is for rows without a label, whose number is -1.
    code_of_number = np.asarray([*(code_of.get(name, -1) for name in labels.names), -1], np.int32)
    codes = code_of_number[labels.numbers]
    rows = np.flatnonzero(codes >= 0)
    keys = _keys(ids, spec.seed)[rows]
    codes = codes[rows]
    sizes = np.bincount(codes, minlength=len(names))
    labelled, unlabelled, test = _class_counts(spec, sizes, names)

    # lexsort is stable: rows with the same id stay in the order of the data.
    order = np.lexsort((keys, codes))
    codes = codes[order]
    from_front = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[codes]
    from_back = sizes[codes] - 1 - from_front
    drawn = np.full(len(rows), NO_SPLIT, np.int8)
    drawn[from_back < (labelled + unlabelled)[codes]] = UNLABELLED
    drawn[from_back < labelled[codes]] = LABELLED
    drawn[from_front < test[codes]] = TEST

    split: SplitNumbers = np.where(labels.numbers < 0, UNLABELLED, LABELLED).astype(np.int8)
    split[rows[order]] = drawn
    return split


def split_of_column(
    values: pa.ChunkedArray, column: str, where: Callable[[int], str]
) -> SplitNumbers:
    """A split that the data bring along; a missing value means: in no split.

    Args:
        values: of the column.
        column: its name.
        where: names a row in an error.

    Raises:
        UserError: a value is not the name of a split.
    """

    def number(value: object) -> int:
        if value is None:
            return NO_SPLIT
        return SPLITS.index(value) if value in SPLITS else _FOREIGN

    split = look_up(values, number, np.int8)
    foreign = split == _FOREIGN
    if foreign.any():
        row = int(foreign.argmax())
        raise UserError(
            f"{where(row)}: the split column {column!r} has the value {values[row].as_py()!r}; "
            f"it may be {', '.join(SPLITS)}, or missing"
        )
    return split


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


def _class_counts(
    spec: RandomSplit, sizes: Counts, names: Sequence[str]
) -> tuple[Counts, Counts, Counts]:
    """Rows to put in labelled, unlabelled and test, of each class with ``sizes`` rows."""
    labelled, unlabelled, test = _counts(spec, int(sizes.sum()))
    # A handful of test rows cannot have every class: those are drawn without regard to it.
    least = int(test >= len(names))
    smallest = int(sizes.argmin())
    if sizes[smallest] < 1 + least:
        raise UserError(
            f"class {names[smallest]!r} has too few rows for a stratified split: {sizes[smallest]} "
            "is left to divide, and 2 are needed; add rows, remove the class, or set "
            "data.split.by: column"
        )
    if labelled < len(names):
        raise UserError(
            f"data.split: {labelled} labelled rows cannot hold each of the {len(names)} classes"
        )
    # Test leaves one row of each class, for labelled.
    test_rows = _allocate(test, sizes, least, sizes - 1)
    training = sizes - test_rows
    labelled_rows = _allocate(labelled, training, 1, training)
    left = training - labelled_rows
    return labelled_rows, _allocate(unlabelled, left, 0, left), test_rows


def _allocate(total: int, sizes: Counts, least: int, most: Counts) -> Counts:
    """Divide ``total`` in proportion to ``sizes``, by largest remainders within the bounds.

    The bounds have room for ``total``. Of equal remainders, the first class has precedence.
    """
    rows = max(int(sizes.sum()), 1)
    parts = np.clip(total * sizes // rows, least, most)
    missing = total - int(parts.sum())
    step = 1 if missing > 0 else -1
    for _ in range(abs(missing)):
        # Whole numbers, since equal remainders could differ as floats.
        owed = step * (total * sizes - parts * rows)
        movable = parts < most if step > 0 else parts > least
        parts[np.where(movable, owed, np.iinfo(np.int64).min).argmax()] += step
    return parts


def _keys(ids: pa.ChunkedArray, seed: int) -> npt.NDArray[np.uint64]:
    """Where each row stands in its class: the first 8 bytes of SHA-256 over seed and id."""
    start = f"{seed}:".encode()
    keys = np.empty(len(ids), np.uint64)
    for first in range(0, len(ids), _HASHED_AT_ONCE):
        some = ids.slice(first, _HASHED_AT_ONCE).cast(pa.binary()).to_pylist()
        digests = b"".join([hashlib.sha256(start + row_id).digest()[:8] for row_id in some])
        keys[first : first + len(some)] = np.frombuffer(digests, dtype=">u8")
    return keys
