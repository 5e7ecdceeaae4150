"""The MobileNetV2 family: its structure is the paper's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from components.shared.networks import Classifier
from components.shared.networks.residual import InvertedResidual, scaled_channels
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import ImageInput, MobileNetSpec

PAPER = {
    "stem": 32,
    "channels": [16, 24, 32, 64, 96, 160, 320],
    "blocks": [1, 2, 3, 4, 3, 3, 1],
    "expansion": 6,
    "head": 1280,
}


def build(size: tuple[int, int, int], classes: int = 10, **fields: object) -> Classifier:
    torch.manual_seed(0)
    spec = MobileNetSpec.model_validate({"family": "mobilenet", **fields})
    scale = Preprocessing(mean=[3.0] * size[0], std=[2.0] * size[0])
    return Classifier.build(spec, ImageInput(kind="image", size=list(size)), scale, classes)


def blocks(network: Classifier) -> list[InvertedResidual]:
    return [module for module in network.modules() if isinstance(module, InvertedResidual)]


@pytest.mark.parametrize(("width", "parameters"), [(1.0, 3_504_872), (0.5, 1_968_680)])
def test_parameters_are_those_of_the_paper(width: float, parameters: int) -> None:
    """3.4M at a width of 1 (table 4), and as counted in torchvision's model of that table."""
    assert build((3, 32, 32), 1000, **PAPER, width=width).parameter_count == parameters


def test_each_stage_but_the_first_halves_the_image() -> None:
    network = build((3, 28, 20), channels=[4, 8, 12], blocks=[1, 2, 1])
    seen: list[list[int]] = []
    for block in blocks(network):
        block.register_forward_hook(lambda *call: seen.append(list(call[2].shape[1:])))
    network(torch.randn(2, 3, 28, 20))
    assert seen == [[4, 28, 20], [8, 14, 10], [8, 14, 10], [12, 7, 5]]


def test_blocks_of_the_first_stage_alone_have_no_more_channels_inside() -> None:
    network = build((1, 8, 8), stem=8, channels=[8, 16], blocks=2, expansion=3)
    inside = [
        [part.groups for part in block.modules() if isinstance(part, nn.Conv2d) and part.groups > 1]
        for block in blocks(network)
    ]
    assert inside == [[8], [8], [24], [48]]


def test_what_comes_in_is_added_where_the_shape_stays() -> None:
    network = build((1, 8, 8), stem=8, channels=[8, 16], blocks=2)
    assert [block.adds for block in blocks(network)] == [True, True, False, True]
    block = InvertedResidual(4, 4, stride=1, expansion=2).eval()
    nn.init.zeros_(block.residual[-1].weight)
    inputs = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(inputs), inputs)


def test_what_a_block_puts_out_may_be_negative() -> None:
    block = InvertedResidual(4, 8, stride=2, expansion=2)
    outputs = block(torch.randn(8, 4, 6, 6))
    assert (outputs < 0).any()
    assert outputs.shape == (8, 8, 3, 3)


@pytest.mark.parametrize("size", [(1, 28, 28), (3, 9, 5), (1, 1, 1)])
def test_images_of_any_size_give_one_row_of_logits_each(size: tuple[int, int, int]) -> None:
    assert build(size)(torch.randn(8, *size)).shape == (8, 10)


@given(st.integers(1, 2000), st.floats(0.05, 4))
def test_width_changes_channels_by_multiples_of_8_and_takes_no_tenth_too_much(
    channels: int, width: float
) -> None:
    scaled = scaled_channels(channels, width)
    if width == 1:
        assert scaled == channels
        return
    assert scaled % 8 == 0
    assert 0.9 * channels * width <= scaled <= max(8, channels * width + 8)


def test_last_convolution_becomes_no_narrower() -> None:
    thin, wide = (build((1, 8, 8), head=128, width=width) for width in (0.5, 2))
    assert [network.body[-1].in_features for network in (thin, wide)] == [128, 256]
