"""A classifier: preprocessing, and the network behind it."""

from torch import Tensor, nn

from components.shared.networks.factories import made_by_factory
from components.shared.networks.hugging_face import sentence_encoder, transformers_classifier
from components.shared.networks.layers import bag, cnn, mlp
from components.shared.networks.preparing import Preparation, preparation
from components.shared.networks.residual import mobilenet, resnet
from components.shared.networks.residual_mlp import residual_mlp
from components.shared.networks.timm_models import timm_classifier
from components.shared.networks.transformer import transformer
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.inputs import InputSpec, TextInput
from components.shared.recipe.library_models import (
    SentenceEncoderSpec,
    TimmSpec,
    TransformersSpec,
)
from components.shared.recipe.models import (
    BagSpec,
    CnnSpec,
    MlpSpec,
    MobileNetSpec,
    ModelSpec,
    ResidualMlpSpec,
    ResNetSpec,
    TransformerSpec,
)
from components.shared.recipe.outside_models import FactorySpec


class Classifier(nn.Module):
    """Raw features in, logits out."""

    def __init__(self, preprocess: Preparation, body: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.body = body

    @classmethod
    def build(
        cls,
        spec: ModelSpec,
        input_spec: InputSpec,
        preprocessing: Preprocessing,
        classes: int,
        pretrained: bool = True,
    ) -> "Classifier":
        """A freshly initialised model; initial weights follow torch's global seed.

        Args:
            spec: the model.
            input_spec: what it takes.
            preprocessing: statistics of the training rows.
            classes: how many there are.
            pretrained: whether weights that it starts from are read, where it has such; a bundle
                has its own.

        Raises:
            UserError: it is not built in, and cannot be had here.
        """
        preprocess = preparation(input_spec, preprocessing)
        shape = preprocess.output_shape
        match spec:
            case MlpSpec():
                body = mlp(spec, shape, classes, preprocess.rare)
            case ResidualMlpSpec():
                body = residual_mlp(spec, shape, classes, preprocess.rare)
            case CnnSpec():
                body = cnn(spec, shape, classes)
            case ResNetSpec():
                body = resnet(spec, shape, classes)
            case MobileNetSpec():
                body = mobilenet(spec, shape, classes)
            case BagSpec():
                body = bag(spec, _vocabulary(input_spec, "a bag of tokens"), classes)
            case TransformerSpec():
                vocabulary = _vocabulary(input_spec, "a transformer")
                body = transformer(spec, vocabulary, input_spec.shape[0], classes)
            case FactorySpec():
                body = made_by_factory(spec, shape, classes, input_spec)
            case TransformersSpec():
                body = transformers_classifier(spec, shape, classes, input_spec, pretrained)
            case SentenceEncoderSpec():
                body = sentence_encoder(spec, classes, input_spec, pretrained)
            case TimmSpec():
                body = timm_classifier(spec, shape, classes, pretrained)
        return cls(preprocess, body)

    @property
    def parameter_count(self) -> int:
        """Of all layers, those that stay as they are too."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, shape (rows, classes), for raw inputs of shape (rows, \\*input shape)."""
        logits: Tensor = self.body(self.preprocess(inputs))
        return logits


def _vocabulary(spec: InputSpec, model: str) -> int:
    if not isinstance(spec, TextInput):
        raise ValueError(f"{model} takes text, not {spec.in_words}")
    return spec.tokenizer.vocabulary
