"""Several processes train what one trains."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import (
    CnnSpec,
    HashTokenizer,
    ImageInput,
    MobileNetSpec,
    ResidualMlpSpec,
    ResNetSpec,
    TextInput,
    TrainingSpec,
    TransformerSpec,
)
from components.shared.recipe.objectives import Dist, Kd
from components.shared.recipe.outside_models import MODULES, FactorySpec
from components.shared.soft_labels import Views
from components.shared.training.checkpoints import Slot, kept_in
from components.shared.training.distributed import Ranks, ranks
from components.shared.training.objectives import DistillationLoss, cross_entropy
from components.shared.training.rows import Batch, MemoryRows, TrainingRows
from components.shared.training.rows.layout import RecordLayout
from components.shared.training.rows.record_file import RecordFile, write_records
from components.shared.training.rows.record_rows import RecordRows
from components.shared.training.trainer import Loss, fit
from tests.training_ranks import on_ranks

ROWS = 90
_RANDOM = torch.Generator().manual_seed(0)
INPUTS = torch.randn(ROWS, 1, 6, 6, generator=_RANDOM)
LOGITS = torch.randn(2, ROWS, 3, generator=_RANDOM).half().float()
LABELS = torch.where(torch.arange(ROWS) % 3 > 0, (INPUTS.mean(dim=(1, 2, 3)) > 0).long(), -1)
SPEC = TrainingSpec(steps=24, batch_size=23, learning_rate=1e-2, shift=1)
CNN = CnnSpec(family="cnn", channels=[4], hidden=6, dropout=0.3)
RESNET = ResNetSpec(family="resnet", channels=[4], blocks=[1], dropout=0.2)
MOBILENET = MobileNetSpec(family="mobilenet", stem=4, channels=[4], blocks=[1], head=8, dropout=0.2)
RESIDUAL_MLP = ResidualMlpSpec(family="residual_mlp", width=6, hidden=8, dropout=0.2)
TRANSFORMER = TransformerSpec(
    family="transformer", dims=6, heads=2, layers=1, hidden=8, dropout=0.2
)
FACTORY = FactorySpec(family="factory", factory="tests.factories:SmallCnn", arguments={"width": 8})
OVER_WHAT_STAYS = FactorySpec(family="factory", factory="tests.factories:over_what_stays")
IMAGE = ImageInput(kind="image", size=[1, 6, 6])
TEXT = TextInput(kind="text", length=5, tokenizer=HashTokenizer(buckets=9))
WANDERS: dict[str, str] = {
    "cnn": r"body\.0\.bias|body\.1\.running_mean",
    "mobilenet": r".*residual\.4\.bias|body\.5\.running_mean",
    "residual_mlp": r"body\.1\.bias|.*residual\.4\.bias|.*running_mean",
    "transformer": r".*key\.bias",
}
"""A bias that the next operation takes away again (a batch normalisation, the softmax of attention)
has no gradient but rounding noise, of which AdamW makes steps of full length. It changes nothing
but the mean that is subtracted next."""
SUBJECT = {"data": "d" * 64}

State = dict[str, Tensor]


pytestmark = pytest.mark.usefixtures("one_thread")


distilled = DistillationLoss((Kd(kind="kd"),), weight=0.9, temperature=2.0)
across_the_batch = DistillationLoss((Dist(kind="dist"),), weight=0.9, temperature=2.0)


def hard(logits: Tensor, batch: Batch, _progress: float) -> Tensor:
    known = batch.labels >= 0  # the mean over those of the batch, however they are spread
    return cross_entropy(logits[known], batch.labels[known])


def memory(_folder: Path) -> TrainingRows:
    return MemoryRows(INPUTS, LABELS, (LOGITS[0], LOGITS[1]), torch.arange(ROWS), VIEWS)


def texts(_folder: Path) -> TrainingRows:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 10, (ROWS, 5), generator=generator).sort(dim=1, descending=True).values
    return MemoryRows(ids.float(), LABELS, (LOGITS[0],), torch.arange(ROWS))


def in_file(folder: Path) -> TrainingRows:
    """Tiny chunks, so that batches lie across them."""
    if not (folder / "index").exists():
        folder.mkdir(exist_ok=True)
        layout = RecordLayout(
            shape=(1, 6, 6), inputs="float32", views=2, classes=3, logits="float16"
        )
        logits = np.ascontiguousarray(LOGITS.numpy().transpose(1, 0, 2))
        positions = np.arange(ROWS)
        write_records(
            folder, layout, [layout.pack(INPUTS.numpy(), LABELS.numpy(), logits, positions)]
        )
    return RecordRows(RecordFile(folder), torch.device("cpu"), VIEWS)


VIEWS = Views(seeds=[7], shift=1)
Opened = Callable[[Path], TrainingRows]
CASES: dict[str, tuple[Any, Opened, Loss]] = {
    "distilled": (CNN, memory, distilled),
    "hard": (CNN, memory, hard),
    "across the batch": (CNN, memory, across_the_batch),
    "residual": (RESNET, memory, distilled),
    "mobilenet": (MOBILENET, memory, distilled),
    "residual MLP": (RESIDUAL_MLP, memory, distilled),
    "transformer": (TRANSFORMER, texts, distilled),
    "factory": (FACTORY, memory, distilled),
    "layers that stay": (OVER_WHAT_STAYS, memory, distilled),
    "file": (CNN, in_file, distilled),
}


def trained(
    case: str, folder: Path, slot: Slot | None = None, hook: Callable[[int], None] = lambda _: None
) -> State:
    model, rows, loss = CASES[case]
    torch.manual_seed(3)
    taken, scale = (TEXT, []) if model is TRANSFORMER else (IMAGE, [1.0])
    network = Classifier.build(model, taken, Preprocessing(mean=scale, std=scale), 3)
    spec = SPEC.model_copy(update={"shift": 0}) if taken is TEXT else SPEC
    calls = 0

    def counted(logits: Tensor, batch: Batch, progress: float) -> Tensor:
        nonlocal calls
        calls += 1
        hook(calls)
        assert len(logits) == len(batch.labels) == SPEC.batch_size
        assert len(batch.inputs) <= -(-SPEC.batch_size // ranks().count)
        return loss(logits, batch, progress)

    fit(network, rows(folder), counted, spec, 5, case, slot)
    return network.state_dict()


def all_trained(folder: Path) -> dict[str, State]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(MODULES, "tests.factories")
        return {case: trained(case, folder) for case in CASES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records") / "file"


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[str, State]:
    torch.set_num_threads(1)
    return all_trained(folder)


@pytest.fixture(scope="module", params=[2, 3])
def together(
    request: pytest.FixtureRequest, folder: Path, alone: dict[str, State]
) -> list[dict[str, State]]:
    return on_ranks(request.param, all_trained, folder)


def assert_same(case: str, first: State, second: State) -> None:
    """Within what another order of sums can do in 24 steps."""
    wanders = WANDERS.get(CASES[case][0].family, "")
    for name in (name for name in first if not re.fullmatch(wanders, name)):
        torch.testing.assert_close(second[name], first[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_several_processes_train_what_one_does(
    alone: dict[str, State], together: list[dict[str, State]], case: str
) -> None:
    first, *others = (states[case] for states in together)
    assert_same(case, alone[case], first)
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)


def test_shares_are_the_batch_and_differ_by_one_row_at_most() -> None:
    for rows in range(1, 20):
        parts = [Ranks(rank, 3).share(rows) for rank in range(3)]
        assert [row for part in parts for row in range(part.start, part.stop)] == list(range(rows))
        sizes = [part.stop - part.start for part in parts]
        assert max(sizes) - min(sizes) <= 1


def terminated_at(storage: Path, step: int) -> int:
    """SIGTERM comes to the last rank alone."""

    def hook(calls: int) -> None:
        if calls == step and ranks().rank == ranks().count - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    os.environ["KUBEDISTILL_CHECKPOINT_SECONDS"] = "1000"
    with kept_in(str(storage), SUBJECT) as checkpoints:
        trained("distilled", storage, checkpoints.slot("final"), hook)
    return 0


def resumed(storage: Path) -> tuple[State, int]:
    steps: list[int] = []
    with kept_in(str(storage), SUBJECT) as checkpoints:
        state = trained("distilled", storage, checkpoints.slot("final"), steps.append)
        return state, len(steps)


def test_all_end_at_the_step_at_which_one_got_sigterm_and_any_number_goes_on(
    tmp_path: Path, alone: dict[str, State]
) -> None:
    assert on_ranks(2, terminated_at, tmp_path, 9) == [143, 143]
    assert on_ranks(3, terminated_at, tmp_path, 4) == [143, 143, 143]
    state, steps = resumed(tmp_path)
    assert steps == SPEC.steps - 9 - 4
    assert_same("distilled", alone["distilled"], state)


def test_batch_that_cannot_be_split_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (2, 23):
        Ranks(0, count).check_batch(23, "student")
    with pytest.raises(UserError, match="a batch of 23 rows cannot be split among 24 processes"):
        Ranks(0, 24).check_batch(23, "student")
