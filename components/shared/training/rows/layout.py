"""How a row lies in a record file: all fields of one row together, in a fixed number of bytes."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

_ALIGNED = 8

Records = npt.NDArray[np.void]
"""Rows with the fields ``position``, ``label``, ``inputs`` and ``logits``."""


class RecordLayout(BaseModel):
    """The fields of a record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: tuple[int, ...]
    """Of the inputs of one row."""
    inputs: Literal["uint8", "float32"]
    """``uint8`` where all inputs are whole numbers from 0 to 255, as pixels are."""
    views: int
    """Views with logits."""
    classes: int
    logits: Literal["float16", "float32"]

    @property
    def dtype(self) -> "np.dtype[np.void]":
        """Large items first, so that each field is aligned."""
        fields: list[tuple[str, str, tuple[int, ...]]] = [
            ("position", "int64", ()),
            ("label", "int32", ()),
            ("inputs", self.inputs, self.shape),
            ("logits", self.logits, (self.views, self.classes)),
        ]
        fields.sort(key=lambda field: -np.dtype(field[1]).itemsize)
        offsets, end = [], 0
        for _, kind, shape in fields:
            offsets.append(end)
            end += np.dtype(kind).itemsize * math.prod(shape)
        return np.dtype(
            {
                "names": [name for name, _, _ in fields],
                "formats": [(kind, shape) if shape else kind for _, kind, shape in fields],
                "offsets": offsets,
                "itemsize": -(-end // _ALIGNED) * _ALIGNED,
            }
        )

    def pack(
        self,
        inputs: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        logits: npt.NDArray[np.float32],
        positions: npt.NDArray[np.int64],
    ) -> Records:
        """Rows as records.

        Args:
            inputs: shape (rows, \\*shape).
            labels: shape (rows,).
            logits: shape (rows, views, classes).
            positions: shape (rows,).

        Raises:
            LossyError: ``inputs`` or ``logits`` lose something in the smaller type.
        """
        records: Records = np.zeros(len(labels), self.dtype)  # padding too, so that it has a hash
        with np.errstate(invalid="ignore", over="ignore"):
            records["inputs"] = inputs
            records["logits"] = logits
        for name, values in (("inputs", inputs), ("logits", logits)):
            if records[name].dtype != np.float32 and not np.array_equal(records[name], values):
                raise LossyError(name)
        records["label"], records["position"] = labels, positions
        return records


class LossyError(Exception):
    """A field does not fit the layout's type without a loss."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(f"{field} lose something in the layout's type")
