"""From what a model gives to logits, or why that cannot be."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.recipe.teacher import OutputKind

LEAST_PROBABILITY = 2.0**-23
"""Smaller probabilities count as that, 1.2e-7, the rounding of a 32-bit float: 0 has no logarithm,
and a model that says 0 does not know it that well. Logits are then -15.9 or more."""
SUM_TOLERANCE = 0.01
"""How far from 1 the probabilities of a row may sum: half precision, or numbers that were written
with few digits."""

Array = npt.NDArray[np.float32]


class UnusableRowError(UserError):
    """A model's output for a row is of no use.

    Attributes:
        row: position among the rows that it was given.
        problem: what is wrong, without naming the row.
    """

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(f"row {row} of a batch: {problem}")
        self.row, self.problem = row, problem


def as_logits(output: npt.ArrayLike, gives: OutputKind, rows: int, classes: int) -> Array:
    """A model's output as logits, checked.

    Args:
        output: numbers of shape (rows, classes).
        gives: what they are.
        rows: how many were asked for.
        classes: how many there are.

    Returns:
        float32, shape (rows, classes): the logits as they are, or log p.

    Raises:
        UnusableRowError: a number is not finite, or the probabilities of a row are none.
        UserError: the shape is another one.
    """
    try:
        values = np.asarray(output, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"the teacher's output is not made of numbers: {error}") from error
    if values.shape != (rows, classes):
        raise UserError(
            f"the teacher gives an output of shape {list(values.shape)} for {rows} rows, not "
            f"{[rows, classes]}: one number for each of the data set's classes"
        )
    broken = first_row(~np.isfinite(values.sum(axis=1)))
    if broken is not None:
        raise UnusableRowError(broken, "the teacher gives NaN or infinity for it")
    if gives == "logits":
        return values
    _check_probabilities(values)
    return np.log(np.maximum(values, np.float32(LEAST_PROBABILITY)))


def ran_out_of_memory(error: Exception) -> bool:
    """Whether fewer rows at once may help."""
    told = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # torch's
        or ("alloc" in told and "memory" in told)
    )


def _check_probabilities(values: Array) -> None:
    sums = values.sum(axis=1, dtype=np.float64)
    strange = first_row((values.min(axis=1) < 0) | (np.abs(sums - 1) > SUM_TOLERANCE))
    if strange is not None:
        raise UnusableRowError(
            strange,
            f"the teacher gives no probabilities for it: they sum to {sums[strange]:g}, and the "
            f"least is {values[strange].min():g}; set teacher.output to logits, if that is what "
            "they are",
        )


def column_order(own: Sequence[str], classes: Sequence[str], what: str) -> npt.NDArray[np.int64]:
    """Position among a model's outputs of each of the data set's classes.

    Args:
        own: the model's classes, in the order of its outputs.
        classes: the data set's.
        what: what errors call the model.

    Raises:
        UserError: they are not the same classes.
    """
    if sorted(own) == sorted(classes):
        return np.asarray([list(own).index(name) for name in classes], np.int64)
    unknown, missing = sorted(set(own) - set(classes)), sorted(set(classes) - set(own))
    parts = [f"it knows {_names(unknown)}, which the data set does not"] if unknown else []
    parts += [f"it does not know {_names(missing)}"] if missing else []
    raise UserError(
        f"{what} does not fit the data set: {', and '.join(parts)}. If they are the same classes "
        "under other names, set teacher.classes to the data set's names, in the order of the "
        "model's outputs"
    )


def known_classes(own: Sequence[str], classes: Sequence[str], some: bool) -> list[str]:
    """The classes that a model has to know, in the data set's order.

    Args:
        own: those that it knows.
        classes: of the data set.
        some: whether some of them will do, for one of several teachers.
    """
    if some and set(own) < set(classes):
        return [name for name in classes if name in own]
    return list(classes)


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")


def first_row(mask: npt.NDArray[np.bool_]) -> int | None:
    """The first one in a mask of rows, if there is one."""
    return int(mask.argmax()) if mask.any() else None
