"""Rows of the data set in the form that an MLflow model wants, and what it gives in return."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import InputSpec, TabularInput
from components.soft_labels.teachers.layout import Array, Layout, layout_for

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

_WHAT = "the MLflow model"
_WHOLE = "biu"
"""Kinds of numpy's types that hold whole numbers only; true and false are 1 and 0."""


class RowMaker:
    """Makes what a model's ``predict`` takes from rows of raw features."""

    def __init__(self, signature: "ModelSignature | None", taken: InputSpec) -> None:
        """Find out what the model takes.

        Args:
            signature: the model's, if it has one; without it rows are a float32 array.
            taken: what a row of the data set is.

        Raises:
            UserError: the model takes something else than the data set has.
        """
        self._taken = taken
        self._columns: dict[str, Any] = {}
        self._dtype = np.dtype(np.float32)
        self._layout = Layout(False, taken.shape)
        inputs = signature.inputs if signature else None
        if inputs is None:
            return
        if not inputs.is_tensor_spec():
            self._columns = _columns(inputs, taken)
            return
        if len(inputs.inputs) != 1:
            names = ", ".join(str(name) for name in inputs.input_names())
            raise UserError(f"{_WHAT} takes several tensors ({names}); the data set has one")
        (tensor,) = inputs.inputs
        self._dtype = tensor.type
        self._layout = layout_for(list(tensor.shape)[1:], taken.shape, _WHAT)

    def __call__(self, rows: Array) -> "npt.NDArray[Any] | pd.DataFrame":
        """Of rows as the data set has them, shape (rows, \\*input shape).

        Raises:
            UserError: a value would be lost in the type that the model has for its column.
        """
        if self._columns and isinstance(self._taken, TabularInput):
            return _typed(data_frame(rows, self._taken, list(self._columns)), self._columns)
        return self._layout.arrange(rows).astype(self._dtype, copy=False)


def data_frame(rows: Array, taken: TabularInput, names: Sequence[str]) -> "pd.DataFrame":
    """A column each, in the order of ``names``; categories by their names.

    A category that the data set does not know, or a missing one, is a missing value.
    """
    import pandas as pd

    columns = {}
    for position, part in enumerate(taken.parts):
        values = rows[:, position]
        if isinstance(part, CategoricalColumn):
            known = np.asarray([*part.settled, None], dtype=object)
            codes = np.where(np.isnan(values), len(part.settled), values).astype(np.int64)
            columns[part.name] = known[np.clip(codes, 0, len(part.settled))]
        else:
            columns[part.name] = values
    return pd.DataFrame(columns)[list(names)]


def _typed(frame: "pd.DataFrame", types: Mapping[str, Any]) -> "pd.DataFrame":
    """With the types that the model asks for, where no value is lost by it."""
    for name, kind in types.items():
        if np.dtype(kind).kind in _WHOLE:
            frame = frame.assign(**{name: _whole(frame[name], np.dtype(kind))})
            continue
        try:
            frame = frame.astype({name: kind})
        except (TypeError, ValueError) as error:
            raise UserError(  # without the reason, which may have values
                f"{_WHAT} takes column {name} as {kind}, which some of its values cannot be made"
            ) from error
    return frame


def _whole(column: "pd.Series[Any]", kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Whole numbers, or true/false, from numbers or from the names of categories."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy()
    with np.errstate(invalid="ignore"):
        typed: npt.NDArray[Any] = numbers.astype(kind)
    if (typed != numbers).any() or pd.Series(numbers).nunique() < column.nunique():
        what = "values other than 0 and 1" if kind.kind == "b" else "fractions, numbers too large"
        raise UserError(
            f"{_WHAT} takes column {column.name} as {kind}; the data have {what}, names of "
            "categories that are no numbers or the same one, or gaps: correct them, or log the "
            "model with a signature that takes them"
        )
    return typed


def _columns(inputs: Any, taken: InputSpec) -> dict[str, Any]:
    """Type of each column that the model takes, by name."""
    names = inputs.input_names()
    if not isinstance(taken, TabularInput):
        raise UserError(
            f"{_WHAT} takes columns ({', '.join(names)}); the data set's rows are of the kind "
            f"{taken.kind}"
        )
    missing = [name for name in names if name not in taken.names]
    if missing:
        raise UserError(
            f"{_WHAT} takes the column {missing[0]}, which data.input.columns does not have"
        )
    return {spec.name: spec.type.to_pandas() for spec in inputs.inputs}


def class_outputs(output: Any, name: str, order: Sequence[str]) -> npt.NDArray[Any]:
    """One number a class from what a model gives, shape (rows, classes), in the order of ``order``.

    Args:
        output: an array or tensor; a table, of which the columns named after the classes count, or
            else all; or several of these by name.
        name: of the one that counts; empty where there is one.
        order: class names in the order of the outputs; or, of a table, the columns' names.

    Raises:
        UserError: it cannot be told what counts.
    """
    if isinstance(output, Mapping):
        return class_outputs(_chosen(output, name), "", order)
    if isinstance(output, tuple | list) and output and hasattr(output[0], "shape"):
        return class_outputs(_chosen(dict(enumerate_names(output)), name), "", order)
    if hasattr(output, "columns"):
        named = {str(column): column for column in output.columns}
        if all(known in named for known in order):
            output = output[[named[known] for known in order]]
        return np.asarray(output.to_numpy())
    if hasattr(output, "detach"):
        output = output.detach().cpu().numpy()
    return np.asarray(output)


def enumerate_names(outputs: Sequence[Any]) -> list[tuple[str, Any]]:
    """Outputs without names, named ``0``, ``1``, …"""
    return [(str(position), output) for position, output in enumerate(outputs)]


def _chosen(outputs: Mapping[Any, Any], name: str) -> Any:
    if name in outputs:
        return outputs[name]
    if len(outputs) == 1 and not name:
        return next(iter(outputs.values()))
    names = ", ".join(str(known) for known in outputs)
    raise UserError(f"{_WHAT} gives {names}; name one of them in teacher.output_name")
