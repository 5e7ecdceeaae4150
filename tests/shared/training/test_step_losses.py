"""Losses that look at more of a step than logits, and what is trained along with the network."""

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from pydantic import TypeAdapter
from torch import Tensor, nn

from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, ImageInput, TrainingSpec
from components.shared.recipe.models import ModelSpec
from components.shared.recipe.objectives import Kd, Objectives
from components.shared.training.checkpoints import Slot, kept_in
from components.shared.training.distributed import Ranks
from components.shared.training.hidden import Tap
from components.shared.training.objectives import DistillationLoss
from components.shared.training.objectives.building import Setting, loss_of
from components.shared.training.objectives.composing import ComposedLoss, Term
from components.shared.training.rows import Batch, MemoryRows
from components.shared.training.step import Step, StepLoss, Watch
from components.shared.training.trainer import fit
from tests.training_ranks import on_ranks

_RANDOM = torch.Generator().manual_seed(0)
INPUTS = torch.randn(40, 1, 6, 6, generator=_RANDOM)
LOGITS = torch.randn(40, 3, generator=_RANDOM)
LABELS = torch.where(torch.arange(40) % 3 > 0, (INPUTS.mean(dim=(1, 2, 3)) > 0).long(), -1)
ROWS = MemoryRows(INPUTS, LABELS, (LOGITS,), torch.arange(40))
BATCH = Batch(INPUTS, LABELS, LOGITS, torch.arange(40))
SPEC = TrainingSpec(steps=8, batch_size=11, learning_rate=1e-2, shift=1)
SUBJECT = {"data": "d" * 64}
STUDENT = CnnSpec(family="cnn", channels=[4], hidden=5, dropout=0.3)
TEACHER = CnnSpec(family="cnn", channels=[3, 6], hidden=7, dropout=0.3)
BEHIND_WHAT_IS_SPREAD = [{"student": "body.1", "teacher": "body.4"}]
"""Outputs of batch normalisations, which several processes replace."""
METHOD: list[Any] = [
    "kd",
    {"kind": "fitnet", "layers": BEHIND_WHAT_IS_SPREAD, "weight": 1},
    {"kind": "attention_transfer", "weight": 10},
    {"kind": "hidden_states", "similarity": "cka"},
    {"kind": "rkd", "weight": 0.1},
    {"kind": "crd", "dims": 4, "negatives": 16, "weight": {"start": 0, "end": 0.1}},
    {"kind": "deeper_exit", "exits": ["body.1", "body.3"]},
]
NETWORKS: dict[str, Any] = {
    "mutual": {"kind": "mutual", "peers": 2},
    "online_teacher": {
        "kind": "online_teacher",
        "model": {"family": "cnn", "channels": [3, 6], "hidden": 7, "dropout": 0.3},
    },
}


@pytest.fixture(autouse=True)
def _on_one_thread(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEDISTILL_CHECKPOINT_SECONDS", "1000")


def built(spec: CnnSpec, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return beside(spec)


def beside(model: ModelSpec | None) -> Classifier:
    """The student's, or another one, with the weights that come next."""
    image, plain = ImageInput(kind="image", size=[1, 6, 6]), Preprocessing(mean=[0.0], std=[1.0])
    return Classifier.build(model or STUDENT, image, plain, classes=3)


class Peer(Term):
    """Another network, which the student and the labels teach."""

    def __init__(self) -> None:
        super().__init__()
        self.network = built(STUDENT, seed=5)

    def forward(self, step: Step) -> Tensor:
        logits = step.run(self.network)
        student = step.logits.log_softmax(dim=1)
        return F.kl_div(logits.log_softmax(dim=1), student, log_target=True, reduction="batchmean")


class Watched(StepLoss):
    """A loss whose steps are counted, with a peer beside it."""

    def __init__(self, loss: ComposedLoss, hook: Callable[[int], None]) -> None:
        super().__init__()
        self.loss, self.peer, self._hook, self._calls = loss, Peer(), hook, 0

    @property
    def student_taps(self) -> tuple[Tap, ...]:
        return self.loss.student_taps

    @property
    def teacher_taps(self) -> tuple[Tap, ...]:
        return self.loss.teacher_taps

    def forward(self, step: Step) -> Tensor:
        self._calls += 1
        self._hook(self._calls)
        value: Tensor = self.loss(step) + 0.5 * self.peer(step)
        return value


def loss_by(method: list[Any], student: nn.Module, teacher: nn.Module) -> ComposedLoss:
    objectives = TypeAdapter(Objectives).validate_python(method)
    setting = Setting(student, teacher, (1, 6, 6), 3, len(ROWS), beside)
    made = loss_of(objectives, 0.9, 2.0, setting)
    assert isinstance(made, ComposedLoss)
    return made


def trained(slot: Slot | None = None, hook: Callable[[int], None] = lambda _: None) -> Any:
    """Weights of the student, and of what was trained along with it."""
    student, teacher = built(STUDENT), built(TEACHER, seed=1)
    loss = Watched(loss_by([*METHOD, *NETWORKS.values()], student, teacher), hook)
    fit(student, ROWS, loss, SPEC, 3, "test", slot, teacher)
    return student.state_dict(), loss.state_dict()


@pytest.fixture(scope="module")
def alone() -> Any:
    torch.set_num_threads(1)
    return trained()


def test_two_processes_train_network_and_companions_as_one_does(alone: Any) -> None:
    first, second = on_ranks(2, trained)
    for mine, theirs, expected in zip(first, second, alone, strict=True):
        for name, value in mine.items():
            assert torch.equal(value, theirs[name])
            if value.is_floating_point() and ".bias" not in name and "running_mean" not in name:
                torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4)


def terminated(step: int) -> Callable[[int], None]:
    return lambda calls: os.kill(os.getpid(), signal.SIGTERM) if calls == step else None


def test_companions_go_on_from_a_checkpoint_to_the_same_bits(tmp_path: Path, alone: Any) -> None:
    with pytest.raises(SystemExit) as ended, kept_in(str(tmp_path), SUBJECT) as checkpoints:
        trained(checkpoints.slot("final"), terminated(5))
    assert ended.value.code == 143
    steps: list[int] = []
    with kept_in(str(tmp_path), SUBJECT) as checkpoints:
        again = trained(checkpoints.slot("final"), steps.append)
    assert len(steps) == SPEC.steps - 5
    for found, expected in zip(again, alone, strict=True):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in found)


def test_companions_learn_and_the_network_has_none_of_them() -> None:
    student, teacher = built(STUDENT), built(TEACHER, seed=1)
    names, loss = set(student.state_dict()), loss_by(["fitnet", "crd"], student, teacher)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    fit(student, ROWS, loss, SPEC, 3, "test", None, teacher)
    assert set(student.state_dict()) == names
    assert all(not torch.equal(loss.state_dict()[name], value) for name, value in before.items())


def test_teacher_is_run_once_a_step_in_evaluation_mode_and_stays_as_it_was() -> None:
    student, teacher = built(STUDENT), built(TEACHER, seed=1).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    runs: dict[str, int] = {"student": 0, "teacher": 0}

    def count(role: str) -> Any:
        def counting(module: nn.Module, _inputs: Any, _output: Any) -> None:
            runs[role] += 1
            assert module.training is (role == "student")

        return counting

    loss = loss_by(METHOD, student, teacher)
    student.register_forward_hook(count("student"))
    teacher.register_forward_hook(count("teacher"))
    fit(student, ROWS, loss, SPEC, 3, "test", None, teacher)
    assert runs == {"student": SPEC.steps, "teacher": SPEC.steps}
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_nothing_grows_from_step_to_step_and_no_hook_is_left() -> None:
    student, teacher = built(STUDENT), built(TEACHER, seed=1)
    alive: list[int] = []

    def count(calls: int) -> None:
        if calls in (3, SPEC.steps):
            gc.collect()
            alive.append(sum(type(one) is Tensor for one in gc.get_objects()))

    loss = Watched(loss_by(METHOD, student, teacher), count)
    fit(student, ROWS, loss, SPEC, 3, "test", None, teacher)
    assert alive[0] == alive[1] > 0
    for network in (student, teacher):
        assert not any(module._forward_hooks for module in network.modules())


def test_teacher_sees_what_the_student_sees() -> None:
    """The same shifted images, of this process's rows."""
    seen: dict[str, list[Tensor]] = {"student": [], "teacher": []}
    student, teacher = built(STUDENT), built(TEACHER, seed=1)
    loss = loss_by(["fitnet"], student, teacher)
    for role, network in (("student", student), ("teacher", teacher)):
        network.register_forward_pre_hook(
            lambda _module, inputs, role=role: seen[role].append(inputs[0].clone())
        )
    fit(student, ROWS, loss, SPEC, 3, "test", None, teacher)
    assert all(map(torch.equal, seen["student"], seen["teacher"]))
    assert any(not any(torch.equal(image, row) for row in INPUTS) for image in seen["student"][0])


def test_loss_of_logits_alone_stays_a_plain_function() -> None:
    setting = Setting(built(STUDENT), None, (1, 6, 6), 3, len(ROWS))
    objectives = TypeAdapter(Objectives).validate_python(["kd", "dist"])
    assert loss_of(objectives, 0.9, 2.0, setting) == DistillationLoss(tuple(objectives), 0.9, 2.0)


def value_of(method: list[Any], progress: float = 0.0) -> Tensor:
    """Of all rows at once, by networks and projections that are always the same."""
    student, teacher = built(STUDENT).eval(), built(TEACHER, seed=1)
    watch = Watch(loss_by(method, student, teacher), student, teacher, Ranks())
    with watch.looking():
        return watch.value(INPUTS, student(INPUTS), BATCH, progress)


def test_terms_count_by_the_share_of_the_teacher_and_their_own_weights() -> None:
    labels = DistillationLoss((), 0.9)(built(STUDENT).eval()(INPUTS), BATCH, 0.0)
    one, two = (value_of([{"kind": "fitnet", "weight": weight}]) for weight in (1.0, 2.0))
    torch.testing.assert_close(two - labels, 2 * (one - labels))
    together = value_of(["kd", {"kind": "fitnet", "weight": 1.0}])
    student = built(STUDENT).eval()
    kd = DistillationLoss((Kd(kind="kd"),), 0.9, 2.0)(student(INPUTS), BATCH, 0.0)
    torch.testing.assert_close(together, kd + one - labels)


def test_weight_of_a_term_warms_up() -> None:
    rising = [{"kind": "rkd", "weight": {"start": 0, "end": 1, "over": 0.5}}]
    values = [value_of(rising, progress) for progress in (0.0, 0.25, 0.75)]
    torch.testing.assert_close(values[1] - values[0], (values[2] - values[0]) / 2)
    assert values[2] > values[0]


def slopes(method: list[Any]) -> list[list[Tensor]]:
    """At the first step, of the student's parameters and of all others."""
    student = built(STUDENT).eval()
    loss = loss_by(method, student, built(TEACHER, seed=1))
    watch = Watch(loss, student, None, Ranks())
    with watch.looking():
        watch.value(INPUTS, student(INPUTS), BATCH, 0.0).backward()  # type: ignore[no-untyped-call]
    return [
        [torch.zeros(()) if one.grad is None else one.grad for one in network.parameters()]
        for network in (student, loss)
    ]


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_beside_the_student_learn_whatever_it_takes_from_them(kind: str) -> None:
    rising = {"start": 0, "end": 1}
    student, beside_it = slopes([{**NETWORKS[kind], "weight": 1}])
    student_alone, beside_it_alone = slopes([{**NETWORKS[kind], "weight": rising}])
    assert all(map(torch.equal, beside_it, beside_it_alone))
    assert any(slope.abs().sum() > 0 for slope in beside_it)
    assert not all(map(torch.equal, student, student_alone))


def test_every_peer_has_weights_of_its_own() -> None:
    student = built(STUDENT)
    loss = loss_by([{"kind": "mutual", "peers": 3}], student, built(TEACHER, seed=1))
    first = [
        one for one in [*student.parameters(), *loss.parameters()] if one.shape == (4, 1, 3, 3)
    ]
    assert len(first) == 4
    assert all(not torch.equal(a, b) for i, a in enumerate(first) for b in first[:i])
