"""Preprocessing that is part of a model."""

from pydantic import BaseModel, ConfigDict


class Preprocessing(BaseModel):
    """Standardisation: (x - mean) / std, per column of a table or per channel of an image.

    Columns of categories have numbers here too, which are not used; texts have none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: list[float]
    std: list[float]
