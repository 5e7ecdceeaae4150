"""How each arm was trained, for the report: its network, its curve, and what it chose among."""

from dataclasses import dataclass

from markupsafe import Markup

from components.evaluation.reporting.chart_panels import learning_curve
from components.shared.bundle import ModelBundle
from components.shared.recipe.models import ModelSpec
from components.shared.results import ArmName


@dataclass(frozen=True)
class Training:
    """How one arm was trained: its curve and what it chose among."""

    name: ArmName
    title: str
    network: str
    bundle: ModelBundle
    curve: Markup


def trainings(bundles: dict[ArmName, ModelBundle], titles: dict[ArmName, str]) -> list[Training]:
    """One for each trained arm, in the order in which arms are listed."""
    return [_training(name, titles[name], bundles[name]) for name in titles if name in bundles]


def describe_network(spec: ModelSpec) -> str:
    """An architecture in a few words."""
    if spec.family == "mlp":
        return f"MLP, hidden {_list(spec.hidden)}, {spec.activation}"
    if spec.family == "resnet":
        blocks = _list([blocks for _, blocks in spec.stages])
        return f"ResNet, channels {_list(spec.channels)}, blocks {blocks}"
    return f"CNN, channels {_list(spec.channels)}, hidden {spec.hidden}"


def _list(values: list[int]) -> str:
    return "-".join(map(str, values))


def _training(name: ArmName, title: str, bundle: ModelBundle) -> Training:
    curve = learning_curve(bundle.curve, name, title)
    return Training(name, title, describe_network(bundle.model), bundle, curve)
