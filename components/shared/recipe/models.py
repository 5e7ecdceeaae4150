"""The model families, for ``teacher`` and ``student``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.shared.recipe.base import Candidates, PositiveFloat, PositiveInt, Spec
from components.shared.recipe.library_models import (
    SentenceEncoderSpec,
    TimmSpec,
    TransformersSpec,
)
from components.shared.recipe.outside_models import FactorySpec

Activation = Literal["relu", "gelu", "tanh"]


class MlpSpec(Spec):
    """Fully connected layers over the flattened input."""

    family: Literal["mlp"]
    hidden: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] = [64]
    """Widths of the hidden layers."""
    activation: Activation = "gelu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class CnnSpec(Spec):
    """3x3 convolutions with batch normalisation, pooled, then one hidden layer; images only."""

    family: Literal["cnn"]
    channels: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] = [32, 64]
    """Output channels of each convolution."""
    hidden: PositiveInt = 32
    """Width of the fully connected layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class ResidualMlpSpec(Spec):
    """Residual blocks over the flattened input, Gorishniy et al., arXiv 2106.11959, section 3.2.

    A fully connected layer to ``width``, then blocks: batch normalisation, a layer to ``hidden``,
    ReLU, dropout, a layer back, and the sum with what came in. Normalisation, ReLU and one layer
    make the logits. Batch normalisation needs batches of two rows or more.
    """

    family: Literal["residual_mlp"]
    width: PositiveInt = 64
    """Of what goes from block to block."""
    blocks: PositiveInt = 2
    hidden: PositiveInt = 128
    """Width inside a block."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Inside each block."""


class _StagedSpec(Spec):
    """A convolutional network in stages, each but the first of which halves height and width."""

    family: str
    channels: Annotated[list[PositiveInt], Candidates, Field(min_length=1)]
    blocks: Annotated[list[PositiveInt], Candidates] = [2]

    @model_validator(mode="after")
    def _blocks_for_each_stage(self) -> Self:
        if len(self.blocks) not in (1, len(self.channels)):
            raise ValueError(
                f"blocks has {len(self.blocks)} numbers, but channels has {len(self.channels)} "
                "stages; give one number for all stages, or one for each"
            )
        return self

    @property
    def stages(self) -> list[tuple[int, int]]:
        """Channels and number of blocks of each stage."""
        blocks = self.blocks * len(self.channels) if len(self.blocks) == 1 else self.blocks
        return list(zip(self.channels, blocks, strict=True))


class ResNetSpec(_StagedSpec):
    """Residual network for small images, He et al., arXiv 1512.03385, section 4.2; images only.

    A 3x3 convolution, then stages of basic blocks with batch normalisation, average pooling over
    the image, and one fully connected layer. Each stage but the first halves height and width.
    """

    family: Literal["resnet"]
    channels: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] = [32, 64, 128]
    """Channels of each stage."""
    blocks: Annotated[list[PositiveInt], Candidates] = [2]
    """Basic blocks (two 3x3 convolutions each) of each stage; one number is meant for all."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the fully connected layer."""


class MobileNetSpec(_StagedSpec):
    """MobileNetV2 for small images, Sandler et al., arXiv 1801.04381, table 2; images only.

    A 3x3 convolution, then stages of inverted residuals, a 1x1 convolution, average pooling over
    the image, and one fully connected layer. Each stage but the first halves height and width, and
    nothing else does: the paper's is for images of 224x224, and halves the first convolution's too.
    """

    family: Literal["mobilenet"]
    channels: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] = [16, 24, 32]
    """Channels that the blocks of each stage put out, at a width of 1."""
    blocks: Annotated[list[PositiveInt], Candidates] = [1, 2, 2]
    """Inverted residuals of each stage; one number is meant for all."""
    expansion: PositiveInt = 4
    """How many times more channels a block has inside; those of the first stage have no more, as in
    the paper, where the others have 6 times more."""
    stem: PositiveInt = 16
    """Channels of the first convolution, at a width of 1."""
    head: PositiveInt = 128
    """Channels of the last convolution."""
    width: PositiveFloat = 1.0
    """Makes all channels more or fewer; other than 1, to the nearest multiple of 8. The last
    convolution becomes no narrower."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the fully connected layer."""


class BagSpec(Spec):
    """The mean of the vectors of a text's tokens, then fully connected layers; text only.

    Without hidden layers it is the classifier of Joulin et al., arXiv 1607.01759 (fastText).
    """

    family: Literal["bag"]
    dims: PositiveInt = 32
    """Width of a token's vector. The vectors are most of the model: tokenizer's size times this."""
    hidden: Annotated[list[PositiveInt], Candidates] = []
    """Widths of the hidden layers; none by default."""
    activation: Activation = "gelu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class TransformerSpec(Spec):
    """Transformer encoder (Vaswani et al., arXiv 1706.03762) over a text's tokens; text only.

    Layers normalise first (Xiong et al., arXiv 2002.04745), positions are learned, and the mean of
    the tokens that are there makes the logits. It sees the order of tokens, which ``bag`` does not,
    and always computes as many as ``data.input.length``.
    """

    family: Literal["transformer"]
    dims: PositiveInt = 64
    """Width of a token's vector, a multiple of ``heads``."""
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    """Of the attention of each layer."""
    hidden: PositiveInt = 128
    """Width inside the feed-forward part of each layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the tokens' vectors, what layers add to them, and their mean."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.dims % self.heads:
            raise ValueError(
                f"dims is {self.dims}, which {self.heads} heads cannot share; make it a multiple "
                "of heads"
            )
        return self


_BuiltIn = (
    MlpSpec | ResidualMlpSpec | CnnSpec | ResNetSpec | MobileNetSpec | BagSpec | TransformerSpec
)
BuiltInSpec = Annotated[_BuiltIn, Field(discriminator="family")]
"""Those whose weights are drawn at random."""
ModelSpec = Annotated[
    _BuiltIn | FactorySpec | TransformersSpec | TimmSpec | SentenceEncoderSpec,
    Field(discriminator="family"),
]

FAMILIES: dict[str, tuple[str, ...]] = {
    "tabular": ("mlp", "residual_mlp", "factory"),
    "image": (
        "mlp",
        "residual_mlp",
        "cnn",
        "resnet",
        "mobilenet",
        "factory",
        "transformers",
        "timm",
    ),
    "text": ("bag", "transformer", "factory", "transformers", "sentence_encoder"),
}
"""The families that take an input, by its kind."""

OUTSIDE: tuple[str, ...] = ("factory", "transformers", "timm", "sentence_encoder")
"""The families that are not built in: what they do is looked at before they are trained."""
