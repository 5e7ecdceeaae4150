"""A deployed model: opened, found to fit the data set, and asked for probabilities."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from components.evaluation.measuring.metrics import Probabilities
from components.evaluation.measuring.sessions import Provider, open_session
from components.shared.dataset import DatasetManifest, Rows
from components.shared.deployable import (
    INPUT_NAME,
    ONNX_FILE,
    OUTPUT_NAME,
    Deployable,
    read_deployable,
)
from components.shared.errors import UserError
from components.shared.results import TRAINED_ARMS

_RUN_ROWS = 1024
"""Rows of one call; with more, what passes between layers leaves the processor's caches."""
_EXACT = 1e-3
"""How far from 1 the probabilities of a row may sum in 32-bit floats."""
_COMPRESSED = 0.02
"""The same for the other forms. A softmax in half precision is off by 2 ** -11 at most; where the
output itself is in 8 bits, each probability is rounded to a multiple of 1/255, which is .02 for ten
classes that are all off by half a step. What is further off does not serve as a probability."""
_CHAMPION_ADVICE = (
    "; the registered champion cannot be compared with this student. Register the student under "
    "another name (registry.model), or put data back as they were for the champion"
)
_TRAINED_ELSEWHERE = ("teacher", "champion", "challenger")


@dataclass(frozen=True)
class DeployedModel:
    """One file, ready to run."""

    name: str
    """What errors call it: an arm, or ``candidate`` and its name."""
    description: Deployable
    path: Path
    """The ONNX file."""
    session: ort.InferenceSession
    rows_of_a_call: int
    row: str
    """What errors call a row."""

    @classmethod
    def open(
        cls,
        name: str,
        folder: Path,
        description: Deployable,
        provider: Provider,
        batch_size: int,
        row: str = "test row",
    ) -> "DeployedModel":
        """Open a deployable folder with ONNX Runtime, to run in one thread.

        Args:
            name: what errors call it.
            folder: the deployable folder.
            description: what it holds.
            provider: where it runs.
            batch_size: rows of a call in which a batch-dependent model is measured.
            row: what errors call a row.

        Raises:
            UserError: the model does not load.
        """
        path = folder / ONNX_FILE
        rows = batch_size if description.batch_dependent else _RUN_ROWS
        return cls(name, description, path, open_session(name, path, 1, provider), rows, row)

    def predict(self, rows: Rows) -> Probabilities:
        """Class probabilities of every row, shape (rows, classes).

        Raises:
            UserError: the model cannot be run, or an output is not a probability distribution over
                the classes; names the row.
        """
        outputs = [
            self._run(rows.part(start, start + self.rows_of_a_call))
            for start in range(0, len(rows), self.rows_of_a_call)
        ]
        probabilities = np.concatenate(outputs)
        expected = (len(rows), len(self.description.classes))
        if probabilities.shape != expected:
            raise UserError(
                f"the {self.name} gives an output of shape {probabilities.shape}, not {expected}"
            )
        self._check(probabilities, rows.ids)
        return probabilities

    def _run(self, rows: Rows) -> Probabilities:
        try:
            (output,) = self.session.run([OUTPUT_NAME], {INPUT_NAME: rows.inputs})
        except Exception as error:  # ONNX Runtime's errors share no other base
            raise UserError(
                f"the {self.name}: ONNX Runtime cannot run it on {len(rows)} rows from {self.row} "
                f"{rows.ids[0]!r} on: {error}"
            ) from error
        probabilities: Probabilities = output
        return probabilities

    def _check(self, probabilities: Probabilities, ids: list[str]) -> None:
        # A product with ones is a sum, and much quicker than NumPy's own over short rows.
        total = probabilities @ np.ones(probabilities.shape[1], probabilities.dtype)
        broken = _first(~np.isfinite(total))
        if broken is not None:
            raise UserError(
                f"the {self.name} gives NaN or infinity for {self.row} {ids[broken]!r}; a model "
                "that does so cannot be deployed: look at that row and at how the model was trained"
            )
        exact = self.name in TRAINED_ARMS and not self.description.imported
        tolerance = _EXACT if exact else _COMPRESSED
        no_distribution = np.abs(total - 1) > tolerance
        if probabilities.min() < 0:
            no_distribution |= probabilities.min(axis=1) < 0
        strange = _first(no_distribution)
        if strange is not None:
            raise UserError(
                f"the {self.name} gives no probabilities for {self.row} {ids[strange]!r}: the "
                f"outputs sum to {total[strange]:g} and the least is "
                f"{probabilities[strange].min():g}"
            )


def describe(name: str, folder: Path, manifest: DatasetManifest) -> Deployable:
    """Read what a deployable folder holds, checked to fit the data set.

    Args:
        name: what errors call it: an arm, or ``candidate`` and its name.
        folder: the deployable folder.
        manifest: of the data set.

    Raises:
        UserError: the folder is damaged, or the model does not fit the data.
    """
    description = read_deployable(folder)
    problem = misfit(name, description, manifest)
    if problem:
        advice = _CHAMPION_ADVICE if name == "champion" else ""
        raise UserError(f"the {name} does not fit the data set: {problem}{advice}")
    return description


def misfit(name: str, model: Deployable, manifest: DatasetManifest) -> str | None:
    """Why the model cannot be measured on the data set, if so.

    Teacher, champion and challenger may come from an earlier run on other data; others may not,
    since their training rows could then be among these test rows.
    """
    if model.classes != manifest.classes:
        return (
            f"its classes are {', '.join(model.classes)}; the data set's are "
            f"{', '.join(manifest.classes)}, in this order"
        )
    difference = model.input.difference(manifest.input)
    if difference:
        return difference
    if name not in _TRAINED_ELSEWHERE and model.dataset_digest != manifest.digest:
        return (
            f"it was trained on the data set {model.dataset_digest[:12]}, and this one is "
            f"{manifest.digest[:12]}"
        )
    return None


def _first(mask: npt.NDArray[np.bool_]) -> int | None:
    """Index of the first true element."""
    return int(mask.argmax()) if mask.any() else None
