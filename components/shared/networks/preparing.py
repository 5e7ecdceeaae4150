"""Preprocessing as the first layer of a model: from raw inputs to what the network takes."""

import torch
from torch import Tensor, nn

from components.shared.networks.columns import Categories, Numbers
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import InputSpec, TabularInput, TextInput


class Preparation(nn.Module):
    """What is done to raw inputs first."""

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.input_shape = input_shape
        """Of one raw row."""
        self.output_shape = output_shape
        """Of one row that was prepared."""
        self.rare: list[int] = []
        """Places in a prepared row of what training may never see: categories that are not known,
        or missing. A network starts without weight on them."""


def preparation(spec: InputSpec, preprocessing: Preprocessing) -> Preparation:
    """The first layer of a model.

    Args:
        spec: what the model takes; its categories are known.
        preprocessing: statistics of the training rows.
    """
    match spec:
        case TextInput():
            return TokenIds(spec)
        case TabularInput() if not spec.plain:
            return Columns(preprocessing, spec)
        case _:
            return Standardise(preprocessing, spec.shape)


class AsTheyAre(Preparation):
    """Rows that need nothing."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape, shape)

    def forward(self, inputs: Tensor) -> Tensor:
        """The same rows, shape (rows, \\*input shape)."""
        return inputs


class Standardise(Preparation):
    """(x - mean) / std over columns (tabular) or channels (images)."""

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing, input_shape: tuple[int, ...]) -> None:
        super().__init__(input_shape, input_shape)
        shape = (1, -1, *[1] * (len(input_shape) - 1))
        self.register_buffer("mean", torch.tensor(preprocessing.mean).reshape(shape))
        self.register_buffer("std", torch.tensor(preprocessing.std).reshape(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        """Standardise raw inputs of shape (rows, \\*input shape)."""
        return (inputs - self.mean) / self.std


class TokenIds(Preparation):
    """Ids arrive as float32, as every input does, and are whole numbers from here on."""

    def __init__(self, spec: TextInput) -> None:
        super().__init__(spec.shape, spec.shape)

    def forward(self, inputs: Tensor) -> Tensor:
        """Token ids, int64, for raw inputs of shape (rows, length)."""
        return inputs.to(torch.int64)


class Columns(Preparation):
    """Columns of numbers and categories, of which some may be missing (NaN): what
    :class:`Numbers` makes of the ones, then what :class:`Categories` makes of the others."""

    def __init__(self, preprocessing: Preprocessing, spec: TabularInput) -> None:
        numeric, named = [], []
        for place, part in enumerate(spec.parts):
            if isinstance(part, CategoricalColumn):
                named.append((place, part))
            else:
                numeric.append((place, part))
        numbers = [Numbers(numeric, preprocessing)] if numeric else []
        categories = [Categories(named)] if named else []
        parts: list[Numbers | Categories] = [*numbers, *categories]
        width = sum(part.width for part in parts)
        super().__init__(spec.shape, (width,))
        self.parts = nn.ModuleList(parts)
        self.rare = [width - 1 - place for part in categories for place in range(part.rare)]

    def forward(self, inputs: Tensor) -> Tensor:
        """Prepared rows, shape (rows, \\*output shape), for raw inputs of shape (rows, columns)."""
        return torch.cat([part(inputs) for part in self.parts], dim=1)
