"""The training loop that teacher, student and baselines share, on one process or several."""

import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from components.shared import events
from components.shared.bundle import CurvePoint
from components.shared.errors import UserError
from components.shared.events import Progress
from components.shared.networks import Classifier
from components.shared.recipe.training import TrainingSpec
from components.shared.soft_labels import Views
from components.shared.training.augmentation import random_shift, seed_of_step, shown
from components.shared.training.checkpoints import Slot, State
from components.shared.training.distributed import ranks
from components.shared.training.rows import Batch, TrainingRows
from components.shared.training.spreading import SpreadNetwork
from components.shared.training.step import LiveTeacher, StepLoss, Watch

Loss = Callable[[Tensor, Batch, float], Tensor]
"""(logits of a batch, the batch, share of the training's steps that is done, 0 to 1) -> scalar
loss. Where several processes train, each sees the logits, labels and teacher's logits of the whole
batch, but the inputs of its share alone."""

_WARM_UP = 0.05
_CURVE_POINTS = 100


class Diverged(UserError):  # noqa: N818 - reads as an event
    """A loss was not finite."""

    def __init__(self, label: str, found: str, spec: TrainingSpec) -> None:
        self.found = found
        """The loss, and the step."""
        super().__init__(
            f"training of {label} diverged: {found}; lower training.learning_rate "
            f"(now {spec.learning_rate:g})"
        )


def fit(
    network: Classifier,
    rows: TrainingRows,
    loss: Loss | StepLoss,
    spec: TrainingSpec,
    seed: int,
    label: str,
    slot: Slot | None = None,
    teacher: nn.Module | None = None,
    live: Views | None = None,
) -> list[CurvePoint]:
    """Train ``network`` in place and leave it in evaluation mode.

    Processes that :func:`~components.shared.training.distributed.joined` split every batch, and
    end with the same weights, which are those of one process but for the order of sums.

    Args:
        network: a freshly initialised model, on the device of the rows.
        rows: what it learns from; step by step, another view of each row is taken.
        loss: objective; one that looks at more of a step than logits is on the device of the rows,
            and what it learns itself is trained along, with the same optimizer.
        spec: length, batch size, optimizer and augmentation.
        seed: order of the rows and augmentation.
        label: what the progress events call this training.
        slot: where its checkpoint is; the weights of a resumed training are those of one that was
            never interrupted.
        teacher: what the loss looks at beside the network, if it does, and who labels live views;
            on the device of the rows.
        live: how rows are changed, in every step anew and instead of stored views; the teacher's
            logits are of what the network sees then. Without a teacher there are labels alone.

    Returns:
        The learning curve, at most about 100 points.

    Raises:
        Diverged: the loss is not finite; training stops at that step.
        Terminated: SIGTERM came while the slot was in use; the state was kept there.
        UserError: a batch has fewer rows than there are processes.
    """
    ranks().check_batch(min(spec.batch_size, len(rows)), label)
    training = _Training(network, rows, loss, spec, seed, teacher, live)
    kept = slot.read() if slot else None
    if kept is not None:
        training.restore(kept)
        events.emit("resumed", activity=label, done=training.step, total=spec.steps)
    if slot is None:
        training.run(label, lambda: None)
        return training.curve
    with slot.training():
        training.run(label, lambda: slot.after_step(training.state))
    slot.finish(training.result())
    return training.curve


class _Training:
    """A training between two steps."""

    def __init__(
        self,
        network: Classifier,
        rows: TrainingRows,
        loss: Loss | StepLoss,
        spec: TrainingSpec,
        seed: int,
        teacher: nn.Module | None,
        live: Views | None,
    ) -> None:
        self.step = 0
        """Steps that are done."""
        self.curve: list[CurvePoint] = []
        self._network, self._loss, self._spec = network, loss, spec
        self._ranks = ranks()
        self._spread = None if self._ranks.alone else SpreadNetwork(network, self._ranks)
        self._watch = None
        if isinstance(loss, StepLoss):
            looked_at = self._spread.network if self._spread else network
            self._watch = Watch(loss, looked_at, teacher, self._ranks)
        along = self._watch.loss.parameters() if self._watch else []
        self._companions = [parameter for parameter in along if parameter.requires_grad]
        self._views, self._cuda = rows.views, rows.device.type == "cuda"
        self._live, self._seed = live, seed
        self._labeller = LiveTeacher(teacher, self._watch) if live and teacher is not None else None
        self._generator = torch.Generator().manual_seed(seed)
        self._optimizer = torch.optim.AdamW(
            [*network.parameters(), *self._companions],
            lr=spec.learning_rate,
            weight_decay=spec.weight_decay,
            fused=True,
        )
        self._batches = rows.shuffled(spec.batch_size, self._generator)
        self._running = 0.0

    def run(self, label: str, after_step: Callable[[], None]) -> None:
        """Do the steps that are left."""
        spec = self._spec
        every = max(1, spec.steps // _CURVE_POINTS)
        progress = Progress(label, total=spec.steps, unit="steps")
        progress.found(self.step)
        self._network.train()
        with self._watch.looking() if self._watch else nullcontext():
            while self.step < spec.steps:
                current = self._advance()
                if not math.isfinite(current):
                    found = f"the loss is {current} at step {self.step} of {spec.steps}"
                    raise Diverged(label, found, spec)
                self._running += current
                if self.step % every == 0:
                    self.curve.append(CurvePoint(step=self.step, loss=self._running / every))
                    self._running = 0.0
                progress.update(self.step, loss=round(current, 5))
                after_step()
        self._network.eval()

    def _advance(self) -> float:
        """One step; returns its loss."""
        spec = self._spec
        rate = spec.learning_rate * learning_rate_factor(self.step, spec.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        inputs, batch = self._shown()
        rows = len(batch.labels)
        if spec.shift:
            share = self._ranks.share(rows)
            inputs = random_shift(inputs, spec.shift, self._generator, rows, share)
        if self._labeller:
            labels = self._ranks.whole(self._labeller.logits(inputs), rows)
            batch = batch._replace(teacher_logits=labels)
        value = self._differentiated(inputs, rows, batch)
        self._optimizer.step()
        self.step += 1
        return value.item()

    def _shown(self) -> tuple[Tensor, Batch]:
        """What this process sees of the next batch, and the batch."""
        if self._live:
            batch = self._batches.next(mix=self._live.mix)
            share = self._ranks.share(len(batch.labels))
            return shown(batch, seed_of_step(self._seed, self.step), self._live, share)
        view = self.step % self._views.count
        batch = self._batches.next(view)
        if not view:
            return batch.inputs, batch
        share = self._ranks.share(len(batch.labels))
        return shown(batch, self._views.seeds[view - 1], self._views, share)

    def _differentiated(self, inputs: Tensor, rows: int, batch: Batch) -> Tensor:
        """The loss of a batch, whose gradients are there."""
        if self._spread is None:
            value = self._value(self._network(inputs), inputs, batch)
            self._optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            return value
        value = self._value(self._spread(inputs, rows), inputs, batch)
        self._optimizer.zero_grad()
        self._spread.backward(value)
        self._ranks.average_gradients(self._companions)
        return value

    def _value(self, logits: Tensor, inputs: Tensor, batch: Batch) -> Tensor:
        """The loss of a batch."""
        progress = self.step / self._spec.steps
        if self._watch:
            return self._watch.value(inputs, logits, batch, progress)
        value: Tensor = self._loss(logits, batch, progress)
        return value

    def state(self) -> State:
        """Everything that the further steps depend on."""
        return {
            **self.result(),
            "running": self._running,
            "optimizer": self._optimizer.state_dict(),
            **({"companions": self._watch.loss.state_dict()} if self._watch else {}),
            "batches": self._batches.state(),
            "generator": self._generator.get_state(),
            "random": torch.get_rng_state(),
            "cuda_random": [torch.cuda.get_rng_state()] if self._cuda else [],
        }

    def result(self) -> State:
        """What the training ends with."""
        return {
            "step": self.step,
            "network": self._network.state_dict(),
            "curve": [(point.step, point.loss) for point in self.curve],
        }

    def restore(self, state: State) -> None:
        """Continue from a state, or from a result."""
        self.step = state["step"]
        self.curve = [CurvePoint(step=step, loss=loss) for step, loss in state["curve"]]
        self._network.load_state_dict(state["network"])
        if self.step == self._spec.steps:
            return
        self._running = state["running"]
        self._optimizer.load_state_dict(state["optimizer"])
        if self._watch:
            self._watch.loss.load_state_dict(state["companions"])
        self._batches.restore(state["batches"])
        self._generator.set_state(state["generator"])
        torch.set_rng_state(state["random"])
        if self._cuda:
            torch.cuda.set_rng_state(state["cuda_random"][0])


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up over the first 5 % of the steps, then cosine decay to zero."""
    warm_up = max(1, int(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
