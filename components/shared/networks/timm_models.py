"""Models of the library timm."""

import json
from pathlib import Path
from typing import Any

from torch import nn

from components.shared.errors import UserError
from components.shared.networks.libraries import of_library, stay_offline
from components.shared.recipe.library_models import TimmSpec, of_the_architecture


def configuration(spec: TimmSpec) -> dict[str, Any]:
    """The architecture of a model: its name in the library, and what it is made with.

    Raises:
        UserError: the folder has none.
    """
    if not spec.folder:
        return {"architecture": spec.name}
    path = Path(spec.folder, "config.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        arguments = of_the_architecture(config.get("model_args", {}))
        return {"architecture": config["architecture"], "model_args": arguments}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"model.folder: {path} is not a configuration as timm writes it "
            f"({type(error).__name__}: {error})"
        ) from error


def timm_classifier(
    spec: TimmSpec, shape: tuple[int, ...], classes: int, pretrained: bool
) -> nn.Module:
    """A classifier of images.

    Args:
        spec: which one.
        shape: of one image: channels, height, width.
        classes: how many there are.
        pretrained: whether weights are read.

    Raises:
        UserError: the library or the model cannot be had.
    """
    stay_offline()
    try:
        import timm
    except ImportError as error:
        raise UserError(
            f"model.family: timm needs the libraries timm and torchvision where the steps run "
            f"({error}); install kubedistill[timm]"
        ) from error
    found = dict(configuration(spec) if spec.found is None else spec.found)
    reads = spec.pretrained and pretrained
    if reads and spec.folder and not Path(spec.folder, "model.safetensors").is_file():
        raise UserError(f"model.folder: {spec.folder} has no model.safetensors")
    arguments: dict[str, Any] = {"num_classes": classes, "in_chans": shape[0], **spec.settings}
    with of_library("timm", spec):
        if reads:
            name = f"local-dir:{spec.folder}" if spec.folder else spec.name
            model: nn.Module = timm.create_model(name, pretrained=True, **arguments)
        else:
            arguments = found.get("model_args", {}) | arguments
            model = timm.create_model(found["architecture"], pretrained=False, **arguments)
    return model
