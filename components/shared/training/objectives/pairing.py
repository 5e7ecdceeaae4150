"""Which layers of student and teacher are compared: those that a recipe names, or the usual."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Size, Tensor, nn

from components.shared.errors import UserError
from components.shared.recipe.exits import DeeperExit
from components.shared.recipe.features import AttentionTransfer, FeatureObjective
from components.shared.training.hidden import Probe, Tap, check_path, last_linear
from components.shared.training.objectives.layers import aligned
from components.shared.training.objectives.looking_inside import Layers

Role = Literal["student", "teacher"]
_ROWS = 2
_INPUTS = "preprocess"
"""The part of a classifier that learns nothing."""


class Networks:
    """Student and teacher, as far as their layers can be told before they are trained."""

    def __init__(
        self, student: nn.Module, teacher: nn.Module | None, shape: tuple[int, ...], classes: int
    ) -> None:
        """Look at nothing yet.

        Args:
            student: on any device.
            teacher: on the same; None where nothing looks at it.
            shape: of one raw row.
            classes: how many logits they put out.
        """
        self._networks: dict[Role, nn.Module] = {"student": student}
        if teacher is not None:
            self._networks["teacher"] = teacher
        self._shape, self._classes = shape, classes

    def pairs(
        self, spec: FeatureObjective, kind: str
    ) -> list[tuple[Layers, tuple[Tensor, Tensor]]]:
        """The layers that an objective compares, with what they make of two rows of zeros.

        Args:
            spec: the objective.
            kind: its name.

        Raises:
            UserError: a path names no layer, or one that cannot be compared; or none is named, and
                the usual one is not there.
        """
        field = f"distillation.method: {kind}"
        if spec.layers is None:
            taps = [
                Layers(self._usual(spec, "student", field), self._usual(spec, "teacher", field))
            ]
        else:
            for number, named in enumerate(spec.layers):
                for role in ("student", "teacher"):
                    path = getattr(named, role)
                    where = f"{field}: layers[{number}].{role}"
                    check_path(self._networks[role], path, where, role)
            taps = [Layers(Tap(named.student), Tap(named.teacher)) for named in spec.layers]
        seen = {
            role: self._outputs(role, [getattr(pair, role) for pair in taps], field)
            for role in ("student", "teacher")
        }
        found = [
            (pair, (seen["student"][pair.student], seen["teacher"][pair.teacher])) for pair in taps
        ]
        if isinstance(spec, AttentionTransfer):
            for pair, outputs in found:
                if aligned(*outputs).student.shape[1] == 1:
                    first, second = (_in_words(layer.shape) for layer in outputs)
                    raise UserError(
                        f"{field}: compares places, but {pair.student.path} of the student "
                        f"({first}) and {pair.teacher.path} of the teacher ({second}) have one in "
                        "common"
                    )
        return found

    def exits(self, spec: DeeperExit) -> dict[Tap, Tensor]:
        """The student's layers after which it has exits, with what they make of two rows of zeros.

        Raises:
            UserError: a path names no layer, or one that is none for each row.
        """
        field = f"distillation.method: {spec.kind}"
        for number, path in enumerate(spec.exits):
            check_path(self._networks["student"], path, f"{field}: exits[{number}]", "student")
        return self._outputs("student", [Tap(path) for path in spec.exits], field)

    def _usual(self, spec: FeatureObjective, role: Role, field: str) -> Tap:
        network = self._networks[role]
        if isinstance(spec, AttentionTransfer):
            last = self._last_with_places(role)
            if last is None:
                raise UserError(
                    f"{field}: compares places, but the {role} has no layer of more than one (an "
                    "image's map, or tokens); take fitnet or rkd"
                )
            return last
        path = last_linear(network, self._classes)
        if path is None:
            raise UserError(
                f"{field}: the {role} has no fully connected layer that makes the "
                f"{self._classes} classes, before which to look; name layers"
            )
        return Tap(path, "input")

    def _last_with_places(self, role: Role) -> Tap | None:
        names = [name for name, _ in self._networks[role].named_modules() if name]
        taps = [Tap(name) for name in names if name.split(".")[0] != _INPUTS]
        with_places = [
            tap
            for tap, output in self._run(role, taps).items()
            if isinstance(output, Tensor)
            and len(output) == _ROWS
            and output.dim() in (3, 4)
            and output[0, 0].numel() > 1
        ]
        return with_places[-1] if with_places else None

    def _outputs(self, role: Role, taps: list[Tap], field: str) -> dict[Tap, Tensor]:
        found = self._run(role, taps)
        for tap in taps:
            output = found.get(tap)
            if output is None:
                raise UserError(f"{field}: {tap.path} is not run when the {role} is")
            if not isinstance(output, Tensor) or output.dim() not in (2, 3, 4):
                shape = output.shape if isinstance(output, Tensor) else type(output).__name__
                raise UserError(
                    f"{field}: {tap.path} of the {role} puts out {shape}, which is neither a "
                    "vector, nor tokens, nor a map for each row; name another layer"
                )
            if len(output) != _ROWS:
                raise UserError(
                    f"{field}: {tap.path} of the {role} does not put out one value for each row; "
                    "name the layer around it"
                )
        return {tap: found[tap] for tap in taps}

    @torch.no_grad()
    def _run(self, role: Role, taps: list[Tap]) -> dict[Tap, Tensor]:
        """What is there after a forward pass, in the order in which it was."""
        network, probe = self._networks[role], Probe()
        device = next(network.parameters()).device
        with _evaluated(network), probe.into(network, taps):
            network(torch.zeros(_ROWS, *self._shape, device=device))
            return probe.taken()


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """In evaluation mode within the block, so that looking changes nothing."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _in_words(shape: Size) -> str:
    kinds = {2: "a vector of", 3: "tokens of", 4: "maps of"}
    return f"{kinds[len(shape)]} {' x '.join(map(str, shape[1:]))}"
