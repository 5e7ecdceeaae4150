"""Fresh views in every step: teacher and student see the same, on any number of processes."""

import os
import signal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, HashTokenizer, ImageInput, TextInput, TrainingSpec
from components.shared.recipe.inputs import InputSpec, TabularInput
from components.shared.recipe.models import BagSpec, MlpSpec
from components.shared.recipe.objectives import Kd
from components.shared.soft_labels import Crop, Views
from components.shared.training.checkpoints import Slot, kept_in
from components.shared.training.distributed import ranks
from components.shared.training.objectives import DistillationLoss
from components.shared.training.rows import Batch, MemoryRows, TrainingRows
from components.shared.training.rows.layout import RecordLayout
from components.shared.training.rows.record_file import RecordFile, write_records
from components.shared.training.rows.record_rows import RecordRows
from components.shared.training.termination import Terminated
from components.shared.training.trainer import fit
from tests.training_ranks import on_ranks

ROWS, BATCH, STEPS = 60, 16, 8
_RANDOM = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 255, (ROWS, 1, 6, 6), generator=_RANDOM).float()
TABLE = torch.randn(ROWS, 4, generator=_RANDOM)
TEXTS = torch.randint(0, 10, (ROWS, 7), generator=_RANDOM).float()
LABELS = torch.arange(ROWS) % 4 - 1
STORED = torch.full((ROWS, 3), torch.nan)
"""Nothing is to be learned from the logits of plain rows."""
IMAGE = ImageInput(kind="image", size=[1, 6, 6])
TABULAR = TabularInput(columns=list("abcd"))
TEXT = TextInput(kind="text", length=7, tokenizer=HashTokenizer(buckets=9))
CNN = CnnSpec(family="cnn", channels=[4], hidden=6)
MLP = MlpSpec(family="mlp", hidden=[6])
BAG = BagSpec(family="bag", dims=5)
CROP = Crop(least=0.4, most=1.0, interpolation="bilinear")
CASES: dict[str, tuple[InputSpec, Any, Tensor, Views]] = {
    "moved": (IMAGE, CNN, IMAGES, Views(flip=True, crop=CROP, shift=1)),
    "cutmix": (IMAGE, CNN, IMAGES, Views(cutmix=1.0)),
    "mixup": (TABULAR, MLP, TABLE, Views(noise=[0.1] * 4, mixup=0.4)),
    "tokens": (TEXT, BAG, TEXTS, Views(token_dropout=0.3)),
}
WANDERS = ("body.0.bias", "body.1.running_mean")
"""A bias before a batch normalisation has no gradient but rounding noise."""
distilled = DistillationLoss((Kd(kind="kd"),), weight=0.9, temperature=2.0)


pytestmark = pytest.mark.usefixtures("one_thread")


class Seen(NamedTuple):
    student: list[Tensor]
    teacher: list[Tensor]
    told: list[Batch]
    network: Classifier


def built(case: str, seed: int) -> Classifier:
    taken, model, _, _ = CASES[case]
    scale = {"image": [1.0], "tabular": [1.0] * 4, "text": []}[taken.kind]
    torch.manual_seed(seed)
    return Classifier.build(model, taken, Preprocessing(mean=scale, std=scale), 3)


def train(
    case: str, rows: TrainingRows | None = None, slot: Slot | None = None, end_at: int = 0
) -> Seen:
    seen = Seen([], [], [], built(case, 1))
    teacher = built(case, 2)
    for network, inputs in ((seen.network, seen.student), (teacher, seen.teacher)):
        network.register_forward_pre_hook(lambda _, given, kept=inputs: kept.append(given[0]))

    def loss(logits: Tensor, batch: Batch, progress: float) -> Tensor:
        seen.told.append(batch)
        if len(seen.told) == end_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return distilled(logits, batch, progress)

    plain, live = CASES[case][2:]
    if rows is None:
        rows = MemoryRows(plain, LABELS, (STORED,), torch.arange(ROWS))
    spec = TrainingSpec(steps=STEPS, batch_size=BATCH, shift=int(case == "moved"))
    fit(seen.network, rows, loss, spec, 3, case, slot, teacher, live)
    assert not teacher.training
    return seen


def assert_same_weights(first: nn.Module, second: nn.Module) -> None:
    for name, values in first.state_dict().items():
        assert torch.equal(values, second.state_dict()[name]), name


@pytest.mark.parametrize("case", CASES)
def test_teacher_labels_in_every_step_what_the_student_sees(case: str) -> None:
    seen = train(case)
    teacher = built(case, 2).eval()
    assert len(seen.student) == len(seen.teacher) == len(seen.told) == STEPS
    for student, taught, batch in zip(*seen[:3], strict=True):
        assert torch.equal(student, taught)
        assert not torch.equal(student, batch.inputs)
        with torch.inference_mode():
            assert torch.equal(batch.teacher_logits, teacher(student))
        assert (batch.mixed is not None) == CASES[case][3].mix
    assert_same_weights(seen.network, train(case).network)


def test_row_is_another_one_whenever_it_is_seen() -> None:
    inputs, views = CASES["moved"][2:]
    one_row = MemoryRows(inputs[:1], LABELS[1:2], (STORED[:1],), torch.arange(1), views=views)
    seen = train("moved", one_row)
    assert len({student.numpy().tobytes() for student in seen.student}) == STEPS


def test_mixed_rows_have_the_labels_of_both_and_those_in_a_file_are_mixed_too(
    tmp_path: Path,
) -> None:
    layout = RecordLayout(shape=(1, 6, 6), inputs="uint8", views=1, classes=3, logits="float32")
    records = layout.pack(IMAGES.numpy(), LABELS.numpy(), STORED.numpy()[:, None], np.arange(ROWS))
    write_records(tmp_path, layout, [records])
    in_file = RecordRows(RecordFile(tmp_path), torch.device("cpu"))
    for rows in (None, in_file):
        for student, _, batch in zip(*train("cutmix", rows)[:3], strict=True):
            assert batch.mixed is not None
            following = batch.positions.roll(-1)
            assert torch.equal(batch.mixed.labels, LABELS[following])
            own, other = IMAGES[batch.positions], IMAGES[following]
            assert ((student == own) | (student == other)).all()
            share = (student == own).float().mean(dim=(1, 2, 3))
            assert (share >= batch.mixed.shares - 1e-6).all()
            assert ((student == other) & (own != other)).any()


def test_training_that_was_interrupted_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = train("mixup")
    with (
        pytest.raises(Terminated),
        kept_in(str(tmp_path), {"data": "d" * 64}) as checkpoints,
    ):
        train("mixup", slot=checkpoints.slot("final"), end_at=5)
    with kept_in(str(tmp_path), {"data": "d" * 64}) as checkpoints:
        resumed = train("mixup", slot=checkpoints.slot("final"))
    assert len(resumed.told) == STEPS - 5
    assert_same_weights(whole.network, resumed.network)


def on_this_rank() -> dict[str, Any]:
    torch.set_num_threads(1)
    found = {}
    for case in ("moved", "mixup"):
        seen = train(case)
        assert all(len(student) == BATCH // ranks().count for student in seen.student)
        found[case] = seen.network.state_dict(), [one.teacher_logits for one in seen.told]
    return found


def test_several_processes_see_what_one_does() -> None:
    alone, (first, second) = on_this_rank(), on_ranks(2, on_this_rank)
    for case, (weights, labels) in alone.items():
        for name, values in weights.items():
            assert torch.equal(first[case][0][name], second[case][0][name])
            if name not in WANDERS:
                torch.testing.assert_close(first[case][0][name], values, rtol=1e-3, atol=1e-4)
        for mine, theirs in zip(labels, first[case][1], strict=True):
            torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-5)
