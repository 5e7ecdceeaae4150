"""The model families: shapes, structure, and what their users rely on."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.fx.experimental.optimization import fuse

from components.shared.errors import UserError
from components.shared.networks import BasicBlock, Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import ImageInput, ResNetSpec, load_recipe

RECIPES = Path(__file__).parents[2] / "pipelines" / "recipes"


def resnet(size: tuple[int, int, int] = (1, 28, 28), **fields: object) -> Classifier:
    """A residual network whose running statistics are not those of the start."""
    torch.manual_seed(0)
    spec = ResNetSpec.model_validate({"family": "resnet", **fields})
    scale = Preprocessing(mean=[3.0] * size[0], std=[2.0] * size[0])
    network = Classifier.build(spec, ImageInput(kind="image", size=list(size)), scale, 10)
    network(pictures(size, rows=16))
    return network.eval()


def pictures(size: tuple[int, int, int], rows: int = 8) -> torch.Tensor:
    return torch.rand(rows, *size, generator=torch.Generator().manual_seed(1)) * 8


def map_sizes(network: Classifier, size: tuple[int, int, int]) -> list[list[int]]:
    """Channels, height and width that each basic block puts out."""
    seen: list[list[int]] = []
    for module in network.modules():
        if isinstance(module, BasicBlock):
            module.register_forward_hook(lambda *call: seen.append(list(call[2].shape[1:])))
    network(pictures(size))
    return seen


def test_each_stage_but_the_first_halves_the_image() -> None:
    size = (3, 28, 20)
    network = resnet(size, channels=[4, 8, 12], blocks=[1, 2, 1])
    assert map_sizes(network, size) == [[4, 28, 20], [8, 14, 10], [8, 14, 10], [12, 7, 5]]


def test_parameters_are_those_of_the_paper() -> None:
    """ResNet-20 for CIFAR-10 has 0.27M parameters (table 6); with projections, option B, 0.272M."""
    assert resnet((3, 32, 32), channels=[16, 32, 64], blocks=[3]).parameter_count == 272_474


def test_shortcut_is_the_identity_unless_the_shape_changes() -> None:
    blocks = [module for module in resnet().modules() if isinstance(module, BasicBlock)]
    identities = [isinstance(block.shortcut, nn.Identity) for block in blocks]
    assert identities == [True, True, False, True, False, True]
    block = BasicBlock(4, 4, stride=1).eval()
    nn.init.zeros_(block.residual[-1].weight)
    inputs = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(inputs), inputs.relu())


def test_one_number_of_blocks_is_meant_for_every_stage() -> None:
    one = ResNetSpec(family="resnet", channels=[8, 16], blocks=[3])
    assert one.stages == [(8, 3), (16, 3)]
    assert ResNetSpec.model_validate({"family": "resnet", "channels": 8, "blocks": 1}).stages == [
        (8, 1)
    ]
    with pytest.raises(ValidationError, match="blocks has 2 numbers, but channels has 3 stages"):
        ResNetSpec(family="resnet", channels=[8, 16, 32], blocks=[1, 2])


@pytest.mark.parametrize("size", [(1, 28, 28), (3, 9, 5), (1, 1, 1)])
def test_images_of_any_size_give_one_row_of_logits_each(size: tuple[int, int, int]) -> None:
    assert resnet(size, channels=[4, 8, 8], blocks=1)(pictures(size)).shape == (8, 10)


def test_residual_network_is_refused_for_tabular_input() -> None:
    with pytest.raises(UserError, match=r"student.model.family is resnet, but .* is tabular"):
        load_recipe(
            RECIPES / "digits.yaml",
            [
                "data.input={kind: tabular, columns: [a]}",
                "teacher.model={family: mlp}",
                "teacher.training.shift=0",
                "student.model={family: resnet}",
            ],
        )


def test_onnx_file_has_batch_normalisation_folded_and_gives_torchs_logits(tmp_path: Path) -> None:
    network, rows = resnet(channels=[8, 16], blocks=1, dropout=0.5), pictures((1, 28, 28))
    torch.onnx.export(
        network, (rows,), tmp_path / "m.onnx", input_names=["input"], opset_version=17, dynamo=False
    )
    operators = {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}
    assert "BatchNormalization" not in operators
    session = ort.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": rows.numpy()})
    np.testing.assert_allclose(found, network(rows).detach().numpy(), atol=1e-4)


def test_graph_can_be_traced_and_its_batch_normalisation_fused() -> None:
    network, rows = resnet(channels=[8, 16], blocks=1), pictures((1, 28, 28))
    fused = fuse(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    torch.testing.assert_close(fused(rows), network(rows), atol=1e-4, rtol=1e-4)
