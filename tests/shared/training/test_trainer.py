import re

import pytest
import torch
from torch import Tensor

from components.shared.errors import UserError
from components.shared.events import parse_event
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import ImageInput, MlpSpec, TrainingSpec
from components.shared.training.augmentation import random_shift
from components.shared.training.objectives import cross_entropy
from components.shared.training.rows import Batch, MemoryRows
from components.shared.training.rows.memory import BatchSampler
from components.shared.training.trainer import fit, learning_rate_factor

INPUTS = torch.randn(60, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = (INPUTS.mean(dim=(1, 2, 3)) > 0).long()


def network() -> Classifier:
    torch.manual_seed(0)
    return Classifier.build(
        MlpSpec(family="mlp", hidden=[8]),
        ImageInput(kind="image", size=[1, 4, 4]),
        Preprocessing(mean=[0.0], std=[1.0]),
        classes=2,
    )


def rows(scale: float = 1.0) -> MemoryRows:
    return MemoryRows(INPUTS * scale, LABELS, (), torch.arange(len(LABELS)))


def loss(logits: Tensor, batch: Batch, _progress: float = 0) -> Tensor:
    return cross_entropy(logits, batch.labels)


def spec(**changes: float) -> TrainingSpec:
    return TrainingSpec.model_validate({"steps": 120, "batch_size": 20, **changes})


def test_training_lowers_the_loss_and_ends_in_evaluation_mode() -> None:
    model = network()
    curve = fit(model, rows(), loss, spec(), seed=0, label="test")
    assert curve[-1].loss < 0.5 * curve[0].loss
    assert curve[-1].step == 120
    assert not model.training


def test_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    first, second, other = network(), network(), network()
    fit(first, rows(), loss, spec(shift=1), seed=3, label="test")
    fit(second, rows(), loss, spec(shift=1), seed=3, label="test")
    fit(other, rows(), loss, spec(shift=1), seed=4, label="test")
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(first.body[1].weight, other.body[1].weight)  # type: ignore[index,arg-type]


def test_loss_is_told_which_share_of_the_training_is_done() -> None:
    told = []

    def asks(logits: Tensor, batch: Batch, progress: float) -> Tensor:
        told.append(progress)
        return loss(logits, batch)

    fit(network(), rows(), asks, spec(steps=8), seed=0, label="test")
    assert told == [step / 8 for step in range(8)]


def test_diverging_training_stops_at_once_and_says_at_which_step() -> None:
    calls = 0

    def breaks(logits: Tensor, batch: Batch, _progress: float) -> Tensor:
        nonlocal calls
        calls += 1
        return loss(logits, batch) * (float("nan") if calls == 7 else 1.0)

    with pytest.raises(UserError, match="the loss is nan at step 7 of 120; lower training.learn"):
        fit(network(), rows(), breaks, spec(), seed=0, label="student")
    assert calls == 7


def test_huge_learning_rate_is_reported_as_divergence() -> None:
    with pytest.raises(UserError, match=r"diverged: the loss is (nan|inf) at step \d+"):
        fit(network(), rows(1e18), loss, spec(learning_rate=1e30), seed=0, label="student")


def test_progress_tells_loss_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    fit(network(), rows(), loss, spec(), seed=0, label="test")
    events = [parse_event(line) for line in capsys.readouterr().out.splitlines()]
    last = events[-1]
    assert last is not None
    assert (last["activity"], last["done"], last["total"]) == ("test", 120, 120)
    assert last["rate"] > 0
    assert last["seconds_left"] == 0
    assert re.fullmatch(r"\d+\.\d+", str(last["loss"]))


def test_every_row_is_seen_once_an_epoch() -> None:
    sampler = BatchSampler(10, 5, torch.Generator().manual_seed(0))
    assert sorted([*sampler.next().tolist(), *sampler.next().tolist()]) == list(range(10))


def test_batch_larger_than_the_data_is_the_data() -> None:
    sampler = BatchSampler(3, 64, torch.Generator().manual_seed(0))
    assert sorted(sampler.next().tolist()) == [0, 1, 2]


def test_learning_rate_warms_up_and_decays_to_zero() -> None:
    factors = [learning_rate_factor(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.2)
    assert max(factors) == factors[5] == 1.0
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert factors[100] == pytest.approx(0, abs=1e-9)


def test_shift_moves_whole_images_by_at_most_the_given_pixels() -> None:
    images = torch.zeros(200, 1, 5, 5)
    images[:, 0, 2, 2] = 1
    shifted = random_shift(images, 1, torch.Generator().manual_seed(0))
    where = shifted.nonzero()
    assert len(where) == 200
    offsets = {(int(y) - 2, int(x) - 2) for _, _, y, x in where}
    assert offsets == {(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
