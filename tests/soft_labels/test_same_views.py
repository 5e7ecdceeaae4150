"""What a student learns from stored views is what their teacher saw."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import MlpSpec, TrainingSpec
from components.shared.recipe.objectives import Kd
from components.shared.training.objectives import DistillationLoss, mean_label_entropy
from components.shared.training.rows import Batch, TrainingRows
from components.shared.training.rows.opening import LIMIT, open_rows
from components.shared.training.trainer import fit
from tests.soft_labels.digit_labels import Labelling

CPU = torch.device("cpu")
VIEWS: dict[str, dict[str, Any]] = {
    "moved": {"flip": True, "crop": {"least": 0.4}, "shift": 1},
    "mixup": {"mixup": 0.4, "crop": {"interpolation": "nearest"}},
    "cutmix": {"cutmix": 1.0, "flip": True},
}
LABELLED_BYTES = 100_000
"""More than the labelled digits take, and less than all of them."""


class Seen(NamedTuple):
    inputs: Tensor
    batch: Batch


def learned_from(rows: TrainingRows, labelling: Labelling, labels_alone: bool) -> list[Seen]:
    """What a student gets in each of twelve steps, and what it is to learn of that."""
    manifest = labelling.data.manifest
    spec = MlpSpec(family="mlp", hidden=[8])
    network = Classifier.build(spec, manifest.input, Preprocessing(mean=[5.0], std=[6.0]), 10)
    shown: list[Tensor] = []
    told: list[Batch] = []
    network.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0].clone()))
    distilled = DistillationLoss((Kd(kind="kd"),), weight=0.9, temperature=2.0)

    def loss(logits: Tensor, batch: Batch, progress: float) -> Tensor:
        told.append(batch)
        if labels_alone:
            return mean_label_entropy(logits, batch)
        return distilled(logits, batch, progress)

    curve = fit(network, rows, loss, TrainingSpec(steps=12, batch_size=32), 0, "student")
    assert curve[-1].loss < curve[0].loss
    return list(map(Seen._make, zip(shown, told, strict=True)))


def assert_taught(seen: list[Seen], teacher: nn.Module, mixing: bool) -> None:
    for step, (inputs, batch) in enumerate(seen):
        with torch.inference_mode():
            expected = teacher(inputs)
        torch.testing.assert_close(batch.teacher_logits, expected, rtol=2**-10, atol=1e-5)
        assert torch.equal(inputs, batch.inputs) == (step % 2 == 0), "every other view is plain"
        assert (batch.mixed is not None) == (mixing and step % 2 == 1)


@pytest.mark.parametrize("name", VIEWS)
def test_student_sees_what_the_teacher_labelled(
    labelling: Labelling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    section = VIEWS[name]
    labelling.generate(tmp_path / "store", views={"count": 2, **section})
    data, store = labelling.data, labelling.open(tmp_path / "store")
    mixing = store.identity.views.mix
    seen = learned_from(open_rows(data, store, CPU).rows, labelling, labels_alone=False)
    assert_taught(seen, labelling.network, mixing)
    for labels_alone_in_memory in (False, True):
        if labels_alone_in_memory:
            monkeypatch.setenv(LIMIT, str(LABELLED_BYTES))
        rows = open_rows(data, store, CPU, labelled_only=True).rows
        seen = learned_from(rows, labelling, labels_alone=True)
        assert_taught(seen, labelling.network, mixing)
        for mixed in (one.batch.mixed for one in seen if one.batch.mixed):
            assert (mixed.labels >= 0).all(), "labelled rows are mixed with labelled ones"
            assert mixed.shares.min() < 0.9


def test_rows_in_a_file_are_not_mixed_by_the_store_and_it_is_said_what_to_do(
    labelling: Labelling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelling.generate(tmp_path / "store", views={"count": 2, "mixup": 0.4})
    store = labelling.open(tmp_path / "store")
    monkeypatch.setenv(LIMIT, str(LABELLED_BYTES))
    with pytest.raises(UserError, match=f"raise {LIMIT}, or mix .* by distillation.live"):
        open_rows(labelling.data, store, CPU)


def test_held_out_rows_are_not_mixed_into_those_that_are_learned_from(
    labelling: Labelling, tmp_path: Path
) -> None:
    labelling.generate(tmp_path / "store", views={"count": 2, "mixup": 0.4})
    rows = open_rows(labelling.data, labelling.open(tmp_path / "store"), CPU).rows
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    fitted, held_out = rows.part(order[:-300]), rows.part(order[-300:])
    hidden = {int(row) for batch in held_out.in_order(100) for row in batch.positions}
    alone = together = 0
    for inputs, batch in learned_from(fitted, labelling, labels_alone=False)[1::2]:
        with torch.inference_mode():
            expected = labelling.network(inputs)
        torch.testing.assert_close(batch.teacher_logits, expected, rtol=2**-10, atol=1e-5)
        assert batch.mixed is not None
        plain = (inputs == batch.inputs).flatten(1).all(dim=1)
        whole = batch.mixed.shares == 1
        assert plain[whole].all()
        alone, together = alone + int(whole.sum()), together + int((~plain).sum())
    source = fitted.shuffled(32, torch.Generator().manual_seed(0))
    partners = [source.next(view % 2).partners for view in range(12)][1::2]
    for partner in partners:
        assert partner is not None
        told = [int(row) in hidden for row in partner.positions]
        assert told == partner.alone.tolist()
    assert alone > 10
    assert together > 100
