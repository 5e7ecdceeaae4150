"""Models of the libraries transformers and timm, and a sentence encoder with a trained head."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, field_validator, model_validator

from components.shared.later import later
from components.shared.recipe.base import PositiveInt, Spec
from components.shared.recipe.outside_models import Arguments


class LibraryModelSpec(Spec):
    """Whatever a library makes by a name, or from a folder that its ``save_pretrained`` wrote."""

    family: str
    name: str = ""
    """As the Hugging Face Hub has it. Nothing is downloaded, and the user's cache must have it,
    unless ``HF_HUB_OFFLINE`` is 0 where the steps run."""
    folder: str = ""
    """A folder that the steps see, with ``config.json`` and, for pretrained weights,
    ``model.safetensors``; in place of a name."""
    found: dict[str, JsonValue] | None = later(None)
    """The configuration, as it was found when the model was first made; a bundle has it, so that it
    can be read where there is no such folder. Leave it out."""

    @field_validator("folder")
    @classmethod
    def _is_a_path(cls, folder: str) -> str:
        if "://" in folder:
            raise ValueError("should be a path that the steps see, in their image or on a volume")
        return folder

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.name) == bool(self.folder):
            raise ValueError("needs either a name or a folder")
        return self

    @property
    def place(self) -> str:
        """The name, or the folder."""
        return self.name or self.folder

    def settled(self, found: dict[str, Any]) -> Self:
        """The same model with its configuration."""
        return self.model_copy(update={"found": found})


class TransformersSpec(LibraryModelSpec):
    """Any classifier of texts or images that the library *transformers* has, of any architecture
    that needs no code of its own.

    Of texts it sees the tokens that ``data.input.tokenizer`` gives: for pretrained weights, that
    has to be the ``tokenizer.json`` of the same model.
    """

    family: Literal["transformers"]
    pretrained: bool = True
    """Whether it starts from the weights that are there, or from random ones; the layer that makes
    the classes always starts from random ones where it has another shape."""
    settings: Arguments = {}
    """Changes to the configuration, such as ``num_hidden_layers``."""


_WEIGHTS = ("checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")


def of_the_architecture(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of ``timm.create_model`` that say what a network is like; none of those that say
    where weights are, which may be pickles.

    Raises:
        ValueError: there is one of the others.
    """
    for name in _WEIGHTS:
        if name in arguments:
            raise ValueError(f"{name} says where weights are, which are those of name or folder")
    return arguments


class TimmSpec(LibraryModelSpec):
    """Any classifier of images that the library *timm* has."""

    family: Literal["timm"]
    pretrained: bool = True
    """Whether it starts from pretrained weights; the layer that makes the classes never does."""
    settings: Annotated[Arguments, AfterValidator(of_the_architecture)] = {}
    """Further arguments of ``timm.create_model``, such as ``drop_path_rate`` or ``img_size``; none
    that say where weights are."""

    @field_validator("found")
    @classmethod
    def _is_an_architecture(cls, found: dict[str, Any] | None) -> dict[str, Any] | None:
        arguments = (found or {}).get("model_args", {})
        of_the_architecture(arguments if isinstance(arguments, dict) else {})
        return found


class SentenceEncoderSpec(LibraryModelSpec):
    """A pretrained encoder of the library *transformers*, which stays as it is, and a head of fully
    connected layers over its embeddings, which learns.

    An embedding is the mean of what the encoder makes of a text's tokens, scaled to a root mean
    square of 1. As a teacher it is run once over each labelled row; then the head learns from the
    embeddings. ``data.input.tokenizer`` has to be the ``tokenizer.json`` of the encoder.
    """

    family: Literal["sentence_encoder"]
    hidden: list[PositiveInt] = []
    """Widths of the head's hidden layers; none by default."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the embeddings, and of the hidden layers."""
