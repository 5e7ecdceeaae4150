import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from components.compression.pruning import (
    kept_channels,
    masked,
    nonzero_parameters,
    two_of_four,
    without_channels,
)
from components.shared.networks import Classifier
from components.shared.recipe import ImageInput
from components.shared.recipe.models import ResNetSpec
from tests.compression.conftest import PREPROCESSING, Case, case_of


def weighted(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]


def norms(network: nn.Module) -> list[_BatchNorm]:
    return [part for part in network.modules() if isinstance(part, _BatchNorm)]


def test_half_of_the_channels_of_each_layer_go_and_the_classes_stay(case: Case) -> None:
    pruned = without_channels(case.network, 0.5)
    for before, after in zip(weighted(case.network)[:-1], weighted(pruned)[:-1], strict=True):
        assert after.weight.shape[0] == before.weight.shape[0] // 2
    assert pruned(torch.from_numpy(case.rows)).shape == (400, 10)
    assert pruned.parameter_count < 0.6 * case.network.parameter_count


def test_student_that_is_pruned_is_left_as_it_was(case: Case) -> None:
    before = case.network(torch.from_numpy(case.rows))
    pruned = without_channels(case.network, 0.5)
    pruned.body.apply(lambda part: nn.init.zeros_(part.weight) if hasattr(part, "weight") else None)
    torch.testing.assert_close(case.network(torch.from_numpy(case.rows)), before)


def test_units_that_do_nothing_are_the_ones_to_go(case: Case) -> None:
    network = without_channels(case.network, 0.0)  # a copy
    first, *others = weighted(network)
    with torch.no_grad():
        for part in (first, *others[:-1], *norms(network)):
            part.weight[part.weight.shape[0] // 2 :] = 0
            if part.bias is not None:
                part.bias[part.bias.shape[0] // 2 :] = 0
        for layer in others:
            if layer.weight.shape[1] > 1:  # not a convolution of each channel on its own
                layer.weight[:, layer.weight.shape[1] // 2 :] = 0
    rows = torch.from_numpy(case.rows)
    torch.testing.assert_close(without_channels(network, 0.5)(rows), network(rows))


@pytest.mark.parametrize("sparsity", [0.01, 0.3, 0.9, 0.99])
def test_any_share_of_the_channels_can_go(case: Case, sparsity: float) -> None:
    pruned = without_channels(case.network, sparsity)
    found = pruned(torch.from_numpy(case.rows))
    assert found.shape == (400, 10)
    assert bool(torch.isfinite(found).all())


def test_wide_convolutions_keep_whole_blocks() -> None:
    torch.manual_seed(0)
    network = Classifier.build(
        ResNetSpec(family="resnet", channels=[32, 64], blocks=[1]),
        ImageInput(kind="image", size=[1, 8, 8]),
        PREPROCESSING,
        10,
    ).eval()
    pruned = without_channels(network, 0.3)
    outputs = {part.out_channels for part in pruned.modules() if isinstance(part, nn.Conv2d)}
    assert outputs == {16, 48}


@given(st.integers(1, 2048), st.floats(0.01, 0.99), st.booleans())
def test_kept_channels_are_near_the_share(channels: int, sparsity: float, conv: bool) -> None:
    kept = kept_channels(channels, sparsity, conv)
    assert 1 <= kept <= channels
    assert abs(kept - channels * (1 - sparsity)) <= (8 if conv else 1)
    if conv and kept > 16:
        assert kept % 16 == 0 or kept == channels


@given(
    st.integers(1, 5),
    st.sampled_from([4, 8, 64]),
    st.sampled_from([(), (1, 1), (3, 3)]),
    st.integers(0, 2**31),
)
def test_two_of_four_keeps_the_larger_two_along_the_inputs(
    outputs: int, inputs: int, kernel: tuple[int, ...], seed: int
) -> None:
    weight = torch.randn(outputs, inputs, *kernel, generator=torch.Generator().manual_seed(seed))
    mask = two_of_four(weight)
    groups = mask.movedim(1, -1).reshape(-1, 4)
    sizes = weight.abs().movedim(1, -1).reshape(-1, 4)
    assert groups.sum(dim=1).eq(2).all()
    assert ((sizes * groups).sum(dim=1) >= sizes.topk(2, dim=1).values.sum(dim=1) - 1e-6).all()


def test_two_of_four_leaves_a_layer_whose_inputs_are_no_multiple_of_four() -> None:
    assert two_of_four(torch.randn(8, 1, 3, 3)).all()


@pytest.mark.parametrize(("structure", "sparsity"), [("2:4", 0.5), ("unstructured", 0.4)])
def test_weights_that_were_removed_are_zero_after_learning_on(
    case: Case, structure: str, sparsity: float
) -> None:
    network = without_channels(case.network, 0.0)
    with masked(network, structure, sparsity):
        case.recovery().learn_on(network, 30, None, "test")
    weights = [layer.weight for layer in weighted(network)]
    if structure == "2:4":
        weights = [weight for weight in weights if weight.shape[1] % 4 == 0]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    assert zeros == pytest.approx(sparsity * sum(weight.numel() for weight in weights), abs=1)
    assert nonzero_parameters(network) <= case.network.parameter_count - zeros
    assert case.accuracy(network) > 0.85
    assert network.state_dict().keys() == case.network.state_dict().keys()


def test_smallest_weights_of_all_layers_together_are_removed() -> None:
    case = case_of("mlp")
    network = without_channels(case.network, 0.0)
    with masked(network, "unstructured", 0.6):
        pass
    before = torch.cat([layer.weight.detach().flatten() for layer in weighted(case.network)])
    after = torch.cat([layer.weight.detach().flatten() for layer in weighted(network)])
    assert before[after == 0].abs().max() <= before[after != 0].abs().min()
