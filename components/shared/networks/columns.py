"""What a model does with columns of numbers and categories, with values missing (NaN)."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from components.shared.preprocessing import Preprocessing
from components.shared.recipe.columns import CategoricalColumn, NumericColumn


class Numbers(nn.Module):
    """Numbers, standardised, with what stands for missing ones; then 0/1 inputs that tell which
    were missing, for columns with the policy ``indicator``."""

    places: Tensor
    mean: Tensor
    std: Tensor
    fill: Tensor
    indicated: Tensor

    def __init__(
        self, columns: Sequence[tuple[int, NumericColumn]], preprocessing: Preprocessing
    ) -> None:
        """Take some of the columns of a row.

        Args:
            columns: each with its place in a raw row.
            preprocessing: mean and standard deviation of all columns of a raw row.
        """
        super().__init__()
        mean = torch.tensor([preprocessing.mean[place] for place, _ in columns])
        std = torch.tensor([preprocessing.std[place] for place, _ in columns])
        zero = -mean / std
        # Where data with missing values are refused, NaN stays NaN.
        fills = {"error": torch.full_like(mean, torch.nan), "zero": zero}
        fill = torch.stack(
            [
                fills.get(str(part.missing), torch.zeros_like(mean))[index]
                for index, (_, part) in enumerate(columns)
            ]
        )
        indicated = [i for i, (_, part) in enumerate(columns) if part.missing == "indicator"]
        self.width = len(columns) + len(indicated)
        """Values of a prepared row."""
        self._indicates = bool(indicated)
        self.register_buffer("mean", mean[None])
        self.register_buffer("std", std[None])
        _constant(self, "places", _indices(place for place, _ in columns))
        _constant(self, "fill", fill[None])
        _constant(self, "indicated", _indices(indicated))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape (rows, width), for raw inputs of shape (rows, columns)."""
        numbers = (inputs.index_select(1, self.places) - self.mean) / self.std
        missing = numbers.isnan()
        filled = torch.where(missing, self.fill, numbers)
        if not self._indicates:
            return filled
        told = missing.to(inputs.dtype).index_select(1, self.indicated)
        return torch.cat([filled, told], dim=1)


class Categories(nn.Module):
    """For all columns: a 0/1 input for each category, then one for those that are not known (where
    they are allowed), then one for a missing one."""

    places: Tensor
    repeated: Tensor
    codes: Tensor
    open_ended: Tensor
    sizes: Tensor

    def __init__(self, columns: Sequence[tuple[int, CategoricalColumn]]) -> None:
        """Take some of the columns of a row.

        Args:
            columns: each with its place in a raw row.
        """
        super().__init__()
        allowed = [(place, part) for place, part in columns if part.unknown == "other"]
        codes = [code for _, part in columns for code in range(len(part.settled))]
        self.rare = len(allowed) + len(columns)
        """How many of the last places are of categories that are not known, or missing."""
        self.width = len(codes) + self.rare
        """Values of a prepared row."""
        self._open = bool(allowed)
        _constant(self, "places", _indices(place for place, _ in columns))
        _constant(self, "repeated", _indices(p for p, part in columns for _ in part.settled))
        _constant(self, "codes", torch.tensor(codes, dtype=torch.float32)[None])
        _constant(self, "open_ended", _indices(place for place, _ in allowed))
        sizes = [len(part.settled) for _, part in allowed]
        _constant(self, "sizes", torch.tensor(sizes, dtype=torch.float32)[None])

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape (rows, width), for raw inputs of shape (rows, columns)."""
        found = [inputs.index_select(1, self.repeated) == self.codes]
        if self._open:
            values = inputs.index_select(1, self.open_ended)
            found.append((values < 0) | (values >= self.sizes))
        found.append(inputs.index_select(1, self.places).isnan())
        return torch.cat(found, dim=1).to(inputs.dtype)


def _constant(module: nn.Module, name: str, value: Tensor) -> None:
    """What follows from the description of a model is no part of its weights."""
    module.register_buffer(name, value, persistent=False)


def _indices(places: Iterable[int]) -> Tensor:
    return torch.tensor(list(places), dtype=torch.int64)
