"""What a library says of a model that a recipe names, found once and kept with the model."""

from components.shared.networks import hugging_face, timm_models
from components.shared.recipe.library_models import (
    SentenceEncoderSpec,
    TimmSpec,
    TransformersSpec,
)
from components.shared.recipe.models import ModelSpec


def settled(spec: ModelSpec) -> ModelSpec:
    """The same model with its configuration, so that a bundle of it needs no folder.

    Raises:
        UserError: the library, the name or the folder cannot be had.
    """
    match spec:
        case TransformersSpec() | SentenceEncoderSpec() if spec.found is None:
            return spec.settled(hugging_face.configuration(spec))
        case TimmSpec() if spec.found is None:
            return spec.settled(timm_models.configuration(spec))
        case _:
            return spec
