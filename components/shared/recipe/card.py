"""What people say of a model: the recipe's ``registry.card``."""

from typing import Annotated

from pydantic import Field

from components.shared.recipe.base import Spec

CardText = Annotated[str, Field(min_length=1, max_length=1000)]


class CardSpec(Spec):
    """For the model card: what no measurement can tell. Plain text; Markdown in it is not read."""

    intended_use: CardText | None = None
    """What the model is for, and who is meant to use it."""
    out_of_scope: CardText | None = None
    """What it must not be used for."""
    limits: CardText | None = None
    """What is known to go wrong, besides what the evaluation measures."""
    contact: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Whom to ask."""
