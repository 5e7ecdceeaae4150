"""What is seen inside networks, and that nothing of it stays."""

import pytest
import torch
from torch import Tensor, nn

from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, ImageInput
from components.shared.training.hidden import Probe, Tap, check_path, last_linear

INPUTS = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
TAPS = (Tap("body.2"), Tap("body.8", "input"))


@pytest.fixture
def network() -> Classifier:
    torch.manual_seed(0)
    spec = CnnSpec(family="cnn", channels=[3], hidden=6)
    image = ImageInput(kind="image", size=[1, 4, 4])
    return Classifier.build(spec, image, Preprocessing(mean=[0.0], std=[1.0]), classes=2)


def test_outputs_and_inputs_are_those_of_the_last_pass_and_then_forgotten(
    network: Classifier,
) -> None:
    probe = Probe()
    with probe.into(network, TAPS):
        network(INPUTS)
        logits = network(INPUTS + 1)
        seen = probe.taken()
        assert probe.taken() == {}
    assert tuple(seen) == TAPS
    body = list(network.body.children())
    assert torch.equal(body[8](seen[TAPS[1]]), logits)
    assert seen[TAPS[0]].shape == (5, 3, 4, 4)
    assert seen[TAPS[0]].requires_grad


def test_nothing_is_seen_after_the_block_nor_left_in_the_network(network: Classifier) -> None:
    probe = Probe()
    with pytest.raises(RuntimeError, match="shape"), probe.into(network, TAPS):
        network(INPUTS.flatten(1))
    network(INPUTS)
    assert probe.taken() == {}
    assert not any(module._forward_hooks for module in network.modules())


def test_compiled_network_shows_the_same_with_the_same_gradients(network: Classifier) -> None:
    def gradients(run: nn.Module) -> list[Tensor]:
        seen = probe.taken() if run(INPUTS) is not None else {}
        assert tuple(seen) == TAPS
        total = sum((value**2).sum() for value in seen.values())
        return list(torch.autograd.grad(torch.as_tensor(total), list(network.body[0].parameters())))  # type: ignore[index, union-attr]

    probe = Probe()
    with probe.into(network, TAPS):
        plain = gradients(network)
        compiled = torch.compile(network, backend="aot_eager")
        for _ in range(3):
            torch.testing.assert_close(gradients(compiled), plain)  # type: ignore[arg-type]


def test_first_of_several_outputs_is_seen() -> None:
    network, probe = nn.Sequential(nn.GRU(4, 3, batch_first=True)), Probe()
    with probe.into(network, [Tap("0")]):
        outputs, _ = network(torch.zeros(2, 5, 4))
        assert torch.equal(probe.taken()[Tap("0")], outputs)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("body.22", "did you mean body.2"),
        ("bodi.0", "did you mean body.0"),
        ("encoder", "there are preprocess, body, body.0, body.1, body.2, "),
    ],
)
def test_path_that_is_none_is_refused_with_those_that_there_are(
    network: Classifier, path: str, hint: str
) -> None:
    with pytest.raises(UserError) as refused:
        check_path(network, path, "layers[0].student", "student")
    said = str(refused.value)
    assert said.startswith(f"layers[0].student: the student has no layer {path!r}; {hint}")


def test_last_layer_of_the_classes_is_found_by_their_number(network: Classifier) -> None:
    assert last_linear(network, 2) == "body.8"
    assert last_linear(network, 7) is None
