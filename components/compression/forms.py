"""From a candidate of the recipe to an ONNX file."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_never

from components.compression.conversion import converting
from components.compression.deploying import Form, FormNotMade, Inputs
from components.compression.recovery import Recovery
from components.compression.sampling import random_rows
from components.shared.networks import Classifier
from components.shared.networks.exporting import export_onnx
from components.shared.recipe import CandidateSpec
from components.shared.recipe.compression import (
    Float16,
    Float32,
    Int8Aware,
    Int8Dynamic,
    Int8Static,
    Pruned,
)

_AWARE_RATE = 0.1
"""Quantisation-aware training fine-tunes: by default at this share of the student's rate."""


@dataclass(frozen=True)
class Student:
    """The trained student, and the training rows."""

    network: Classifier
    """On the CPU, in evaluation mode."""
    inputs: Inputs
    """Raw features of all training rows, shape (rows, \\*input shape)."""
    seed: int
    read_recovery: Callable[[], Recovery]
    """Reads the soft labels."""

    @cached_property
    def recovery(self) -> Recovery:
        """What it learns on from, read when the first form needs it."""
        return self.read_recovery()


def float32(network: Classifier, path: Path) -> Form:
    """Write a model as it was trained."""
    export_onnx(network, path)
    return Form(network, "as trained", network.parameter_count, exact=True)


def make_form(spec: CandidateSpec, student: Student, path: Path) -> Form:
    """Write the ONNX file of one candidate.

    Raises:
        FormNotMade: it could not be made; the message says why.
        UserError: the soft labels are not those of the training rows.
    """
    match spec:
        case Float32():
            return float32(student.network, path)
        case Float16():
            return _float16(student.network, path)
        case Int8Dynamic():
            return _int8_dynamic(student.network, path)
        case Int8Static():
            return _int8_static(student.network, student, path, spec.rows, spec.ranges)
        case Int8Aware():
            return _int8_aware(spec, student, path)
        case Pruned():
            return _pruned(spec, student, path)
        case _:
            assert_never(spec)


def _float16(network: Classifier, path: Path) -> Form:
    from components.compression.half import convert_to_half

    _convert(network, path, convert_to_half)
    return Form(network, "half-precision weights", network.parameter_count, exact=False)


def _int8_dynamic(network: Classifier, path: Path) -> Form:
    from components.compression.quantise import quantise_dynamic

    _convert(network, path, quantise_dynamic)
    how = "int8 weights of fully connected layers, activations rounded at every call"
    return Form(network, how, network.parameter_count, exact=False)


def _int8_static(
    network: Classifier, student: Student, path: Path, rows: int, ranges: str = "minmax"
) -> Form:
    from components.compression.quantise import quantise_static

    sample = random_rows(student.inputs, rows, student.seed)
    _convert(network, path, lambda model, to: quantise_static(model, to, sample, ranges))
    how = f"int8 weights and activations, {ranges} ranges of {len(sample)} training rows"
    return Form(network, how, network.parameter_count, exact=False)


def _int8_aware(spec: Int8Aware, student: Student, path: Path) -> Form:
    from components.compression.aware import AwareNetwork

    with converting("quantisation-aware training"):
        aware = AwareNetwork(student.network)
    recovery = student.recovery
    rate = spec.learning_rate or _AWARE_RATE * recovery.training.learning_rate
    recovery.learn_on(aware.rounding, spec.steps, rate, spec.name)
    made = _int8_static(aware.without_rounding(), student, path, spec.rows)
    how = f"{spec.steps} steps of quantisation-aware distillation; {made.how}"
    return Form(made.network, how, student.network.parameter_count, exact=False)


def _pruned(spec: Pruned, student: Student, path: Path) -> Form:
    from components.compression.pruning import masked, nonzero_parameters, without_channels

    def recover(network: Classifier) -> None:
        student.recovery.learn_on(network, spec.steps, spec.learning_rate, spec.name)

    if spec.structure == "channels":
        network = without_channels(student.network, spec.sparsity)
        if network.parameter_count == student.network.parameter_count:
            raise FormNotMade(
                f"no layer has a channel to lose at a sparsity of {spec.sparsity:g} (convolutions "
                "keep multiples of 16); raise it"
            )
        recover(network)
    else:
        network = copy.deepcopy(student.network)
        with masked(network, spec.structure, spec.sparsity):
            recover(network)
    left = nonzero_parameters(network)
    how = (
        f"{left:,} of {student.network.parameter_count:,} parameters left after pruning "
        f"({spec.structure}), {spec.steps} steps of distillation"
    )
    if spec.precision == "float32":
        export_onnx(network, path)
        return Form(network, how, left, exact=True)
    made = _int8_static(network, student, path, _CALIBRATION_ROWS)
    return Form(network, f"{how}; {made.how}", left, exact=False)


_CALIBRATION_ROWS: int = Int8Static.model_fields["rows"].default


def _convert(network: Classifier, path: Path, convert: Callable[[Path, Path], None]) -> None:
    with TemporaryDirectory() as scratch:
        exported = Path(scratch) / "float32.onnx"
        export_onnx(network, exported)
        convert(exported, path)
