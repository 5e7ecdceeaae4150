"""A step of a training as its loss sees it, where logits are not enough."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from components.shared.training.distributed import Ranks
from components.shared.training.hidden import Probe, Tap
from components.shared.training.rows import Batch
from components.shared.training.spreading import SpreadCompanion


class Seen(NamedTuple):
    """What a network made of inputs."""

    logits: Tensor
    """Shape (rows, classes)."""
    hidden: dict[Tap, Tensor]
    """What was looked at inside, each of so many rows."""


class Step:
    """What a loss may look at in one step.

    Where several processes train, a rank has the inputs and hidden layers of its share of the
    batch. Parameters of a loss are applied to that share, and :meth:`whole` gathers what they make
    of it: what is computed from there on is the same on all ranks, and each differentiates its
    share alone. Parameters that were applied to the whole batch would count once for each rank.
    """

    def __init__(
        self,
        inputs: Tensor,
        logits: Tensor,
        batch: Batch,
        progress: float,
        hidden: dict[Tap, Tensor],
        watch: "Watch",
    ) -> None:
        self.inputs = inputs
        """Raw features as the student got them, after augmentation; this rank's rows."""
        self.logits = logits
        """The student's, shape (rows, classes), of the whole batch."""
        self.batch = batch
        """Of the whole batch, with the teacher's logits of it, stored or live; inputs alone are
        those of this rank's rows, before augmentation."""
        self.progress = progress
        """Share of the training's steps that is done, 0 to 1."""
        self.hidden = hidden
        """What the loss looks at inside the student; this rank's rows."""
        self._watch = watch

    @property
    def teacher(self) -> Seen:
        """What the online teacher makes of the inputs; this rank's rows."""
        return self._watch.see(self.inputs)

    def whole(self, share: Tensor) -> Tensor:
        """The rows of all ranks, for this one's, of any shape; gradients flow into these alone."""
        return self._watch.ranks.whole(share, len(self.logits))

    def run(self, network: nn.Module) -> Tensor:
        """Logits of the whole batch by another network that is trained along, in training mode.

        Args:
            network: a part of the loss.
        """
        return self._watch.run(network, self.inputs, len(self.logits))


class StepLoss(nn.Module):
    """A loss that looks at more of a step than logits.

    Its parameters are *companions*: the optimizer trains them along with the student, checkpoints
    keep them, its buffers too, and no bundle has them. Their gradients are summed over ranks.
    """

    @property
    def student_taps(self) -> tuple[Tap, ...]:
        """Where to look inside the student, in the one forward pass that it has in a step."""
        return ()

    @property
    def teacher_taps(self) -> tuple[Tap, ...]:
        """Where to look inside the teacher."""
        return ()

    def forward(self, step: Step) -> Tensor:
        """The loss of a batch, a scalar, the same on all ranks."""
        raise NotImplementedError


class Watch:
    """Looks at a training for a loss, from its first step to its last."""

    def __init__(
        self, loss: StepLoss, student: nn.Module, teacher: nn.Module | None, ranks: Ranks
    ) -> None:
        """Nothing is looked at before :meth:`looking`.

        Args:
            loss: says where to look.
            student: whose forward passes are looked at; of several processes, the spread one.
            teacher: None where the loss looks at none. It is run in evaluation mode without
                gradients; it is no part of the loss, so that nobody trains it or keeps its weights.
            ranks: the processes of the training.
        """
        self.loss, self.ranks = loss, ranks
        self._student, self._teacher = student, teacher
        self._inside_student, self._inside_teacher = Probe(), Probe()
        self._spread: dict[nn.Module, Callable[[Tensor, int], Tensor]] = {}
        self._last: tuple[Tensor, Seen] | None = None

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look into student and teacher within the block."""
        self.loss.train()
        with ExitStack() as stack:
            stack.enter_context(self._inside_student.into(self._student, self.loss.student_taps))
            if self._teacher is not None:
                inside = self._inside_teacher.into(self._teacher.eval(), self.loss.teacher_taps)
                stack.enter_context(inside)
            yield

    def value(self, inputs: Tensor, logits: Tensor, batch: Batch, progress: float) -> Tensor:
        """The loss of the step whose forward pass was the last one, a scalar.

        Args:
            inputs: what the student was given; this rank's rows.
            logits: of the whole batch.
            batch: labels and stored logits.
            progress: share of the steps that is done.
        """
        hidden = self._inside_student.taken()
        value: Tensor = self.loss(Step(inputs, logits, batch, progress, hidden, self))
        return value

    @torch.no_grad()
    def see(self, inputs: Tensor) -> Seen:
        """What the teacher makes of inputs, of so many rows; it is run once for the same ones.

        Raises:
            RuntimeError: there is none.
        """
        if self._teacher is None:
            raise RuntimeError("the loss looks at a teacher, but the training was given none")
        if self._last is None or self._last[0] is not inputs:
            logits = self._teacher(inputs)
            self._last = inputs, Seen(logits, self._inside_teacher.taken())
        return self._last[1]

    def run(self, network: nn.Module, inputs: Tensor, rows: int) -> Tensor:
        """Logits of a whole batch, shape (rows, classes), by a companion."""
        if self.ranks.alone:
            logits: Tensor = network(inputs)
            return logits
        if network not in self._spread:
            self._spread[network] = SpreadCompanion(network, self.ranks)
        return self._spread[network](inputs, rows)


class LiveTeacher:
    """A teacher that labels what the student sees, step by step."""

    def __init__(self, teacher: nn.Module, watch: Watch | None) -> None:
        """Of a loss that looks at the teacher too there is a ``watch``, so that it runs once."""
        self._teacher, self._watch = teacher.eval(), watch

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """Shape (rows, classes), for what the student is given of this rank's rows."""
        if self._watch:
            return self._watch.see(inputs).logits
        logits: Tensor = self._teacher(inputs)
        return logits
