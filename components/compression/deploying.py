"""A deployable folder: the ONNX file, checked on real rows against torch, and its description."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch

from components.compression.compact import compact
from components.shared.bundle import ModelBundle
from components.shared.deployable import (
    DEPLOYABLE,
    EXAMPLE,
    INPUT_NAME,
    ONNX_FILE,
    OUTPUT_NAME,
    Deployable,
)
from components.shared.files import new_directory, sha256_file, write_atomically
from components.shared.networks import Classifier

MAX_DIFFERENCE = 1e-4
"""Largest difference of a probability that rounding explains."""
MIN_AGREEMENT = 0.8
"""A form that predicts another class than its torch model more often than this is broken."""

_BY_THE_CALL = "DynamicQuantizeLinear"
"""The operator that takes its range from all rows of a call."""

Inputs = npt.NDArray[np.float32]


class FormNotMade(Exception):  # noqa: N818 - reads as an event
    """A form of a model could not be made, or is broken; the message says why."""


@dataclass(frozen=True)
class Form:
    """What an ONNX file was made from."""

    network: Classifier
    """The torch model that it should equal, on the CPU, in evaluation mode."""
    how: str
    """How it was made, in a few words."""
    parameters: int
    """Those that are left."""
    exact: bool
    """Whether only rounding in float32 may tell it from ``network``."""


@dataclass(frozen=True)
class Fidelity:
    """How closely an ONNX file follows its torch model."""

    max_difference: float
    """Largest absolute difference of a probability."""
    agreement: float
    """Share of the rows for which both predict the same class."""


def compare(
    network: Classifier, model: Path, inputs: Inputs, batch_dependent: bool = False
) -> Fidelity:
    """Run an ONNX file and its torch model on the same rows.

    Args:
        network: the torch model, on the CPU.
        model: the ONNX file.
        inputs: raw features, shape (rows, \\*input shape).
        batch_dependent: whether rows of one call change each other's predictions; each then gets a
            call of its own.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # so that sums are the same on any machine of the kind
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    calls = np.split(inputs, len(inputs)) if batch_dependent else [inputs]
    found = np.concatenate([session.run([OUTPUT_NAME], {INPUT_NAME: rows})[0] for rows in calls])
    with torch.inference_mode():
        expected = network(torch.from_numpy(inputs)).softmax(dim=1).numpy()
    return Fidelity(
        max_difference=float(np.abs(found - expected).max()),
        agreement=float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
    )


def write_deployable(
    folder: Path,
    make: Callable[[Path], Form],
    bundle: ModelBundle,
    inputs: Inputs,
    teacher_digest: str | None,
) -> tuple[Deployable, Form, Fidelity]:
    """Make one form of a model, check it on real rows, and write it with its description.

    Args:
        folder: where ``model.onnx``, ``deployable.json`` and ``example.npy`` go; complete or
            absent.
        make: writes the ONNX file to the path it is given, with nothing beside it.
        bundle: description of the model.
        inputs: real rows, shape (rows, \\*input shape).
        teacher_digest: the teacher it learned from, if any.

    Raises:
        FormNotMade: it was not made, or computes something else than its torch model.
    """
    with new_directory(folder) as temporary:
        path = temporary / ONNX_FILE
        form = make(path)
        model = onnx.load(path)
        compact(model)
        onnx.checker.check_model(model)
        onnx.save(model, path)
        batch_dependent = any(node.op_type == _BY_THE_CALL for node in model.graph.node)
        fidelity = compare(form.network, path, inputs, batch_dependent)
        _check(fidelity, form, len(inputs))
        deployable = Deployable(
            role=bundle.role,
            input=bundle.input,
            classes=bundle.classes,
            parameters=form.parameters,
            dataset_digest=bundle.dataset_digest,
            bundle_digest=bundle.digest,
            teacher_digest=teacher_digest,
            max_difference=fidelity.max_difference,
            checked_rows=len(inputs),
            batch_dependent=batch_dependent,
            onnx_sha256=sha256_file(path),
            onnxruntime=ort.__version__,
        )
        np.save(temporary / EXAMPLE, inputs[:1], allow_pickle=False)
        write_atomically(temporary / DEPLOYABLE, deployable.model_dump_json(indent=2))
    return deployable, form, fidelity


def _check(fidelity: Fidelity, form: Form, rows: int) -> None:
    difference = fidelity.max_difference
    if form.exact and not difference <= MAX_DIFFERENCE:
        raise FormNotMade(
            f"it differs from the torch model by {difference:g} in a probability, over {rows} "
            f"rows; at most {MAX_DIFFERENCE:g} is rounding. Values of very different magnitude in "
            "the data can cause this"
        )
    if not np.isfinite(difference):
        raise FormNotMade(f"some of its probabilities for {rows} training rows are not finite")
    if fidelity.agreement < MIN_AGREEMENT:
        raise FormNotMade(
            f"it agrees with the torch model on {fidelity.agreement:.1%} of {rows} training rows "
            f"only, less than {MIN_AGREEMENT:.0%}"
        )
