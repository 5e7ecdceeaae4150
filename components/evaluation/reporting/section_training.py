"""How each arm was trained, for the report: its network, its curve, and what it chose among."""

import json
from dataclasses import dataclass

from markupsafe import Markup
from pydantic import JsonValue

from components.evaluation.reporting.chart_panels import learning_curve
from components.shared.bundle import ModelBundle, TriedSize
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
from components.shared.recipe.objectives import described
from components.shared.recipe.outside_models import FactorySpec
from components.shared.results import ArmName


@dataclass(frozen=True)
class Training:
    """How one arm was trained: its curve and what it chose among."""

    name: ArmName
    title: str
    network: str
    bundle: ModelBundle
    curve: Markup

    @property
    def methods(self) -> list[str]:
        """What each candidate minimised beside the cross-entropy with the labels, in words; empty
        words where the arm learned from classes alone."""
        selection = self.bundle.selection
        return [described(one.method) for one in selection.candidates] if selection else []

    @property
    def sizes(self) -> list[tuple[str, TriedSize]]:
        """The sizes that were tried before this one was taken, with their networks in words."""
        size = self.bundle.selection and self.bundle.selection.size
        return [(describe_network(one.model), one) for one in size.tried] if size else []


def trainings(bundles: dict[ArmName, ModelBundle], titles: dict[ArmName, str]) -> list[Training]:
    """One for each trained arm, in the order in which arms are listed."""
    return [_training(name, titles[name], bundles[name]) for name in titles if name in bundles]


def describe_network(spec: ModelSpec) -> str:
    """An architecture in a few words."""
    match spec:
        case MlpSpec():
            words = f"MLP, hidden {_list(spec.hidden)}, {spec.activation}"
        case ResidualMlpSpec():
            words = f"Residual MLP, width {spec.width}, blocks {spec.blocks}, hidden {spec.hidden}"
        case CnnSpec():
            words = f"CNN, channels {_list(spec.channels)}, hidden {spec.hidden}"
        case ResNetSpec():
            words = f"ResNet, {_stages(spec)}"
        case MobileNetSpec():
            width = f", width {spec.width:g}" if spec.width != 1 else ""
            words = f"MobileNetV2, {_stages(spec)}, expansion {spec.expansion}{width}"
        case BagSpec():
            hidden = f", hidden {_list(spec.hidden)}, {spec.activation}" if spec.hidden else ""
            words = f"Bag of tokens, vectors of {spec.dims}{hidden}"
        case TransformerSpec():
            sizes = f"layers {spec.layers}, heads {spec.heads}, hidden {spec.hidden}"
            words = f"Transformer, vectors of {spec.dims}, {sizes}"
        case FactorySpec():
            words = spec.factory + _arguments(spec.arguments)
        case TransformersSpec() | TimmSpec():
            origin = "pretrained" if spec.pretrained else "not pretrained"
            words = f"{spec.place} of {spec.family}, {origin}{_arguments(spec.settings)}"
        case SentenceEncoderSpec():
            hidden = f", hidden {_list(spec.hidden)}" if spec.hidden else ""
            words = f"Sentence encoder {spec.place}, with a head that was trained{hidden}"
    return words


def _arguments(arguments: dict[str, JsonValue]) -> str:
    return "".join(f", {name} {json.dumps(value)}" for name, value in arguments.items())


def _stages(spec: ResNetSpec | MobileNetSpec) -> str:
    blocks = _list([blocks for _, blocks in spec.stages])
    return f"channels {_list(spec.channels)}, blocks {blocks}"


def _list(values: list[int]) -> str:
    return "-".join(map(str, values))


def _training(name: ArmName, title: str, bundle: ModelBundle) -> Training:
    curve = learning_curve(bundle.curve, name, title)
    return Training(name, title, describe_network(bundle.model), bundle, curve)
