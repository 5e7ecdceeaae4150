"""A deployed model: opened, found to fit the data set, and asked for probabilities."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from components.evaluation.metrics import Probabilities
from components.shared.dataset import DatasetManifest, Rows
from components.shared.deployable import (
    INPUT_NAME,
    ONNX_FILE,
    OUTPUT_NAME,
    Deployable,
    read_deployable,
)
from components.shared.errors import UserError
from components.shared.recipe.data import ImageInput, TabularInput
from components.shared.results import ArmName

_BATCH = 1024
_ERRORS_ONLY = 3
_SUM_TOLERANCE = 1e-3
_CHAMPION_ADVICE = (
    "; the registered champion cannot be compared with this student. Register the student under "
    "another name (registry.model), or put data back as they were for the champion"
)


@dataclass(frozen=True)
class DeployedModel:
    """One arm, ready to run."""

    arm: ArmName
    description: Deployable
    size_bytes: int
    """Size of the ONNX file."""
    session: ort.InferenceSession

    @classmethod
    def open(
        cls, arm: ArmName, folder: Path, manifest: DatasetManifest, threads: int
    ) -> "DeployedModel":
        """Open a deployable folder with ONNX Runtime.

        Raises:
            UserError: the folder is damaged, the model does not load, or it does not fit the data.
        """
        description = read_deployable(folder)
        problem = _misfit(arm, description, manifest)
        if problem:
            advice = _CHAMPION_ADVICE if arm == "champion" else ""
            raise UserError(f"the {arm} does not fit the data set: {problem}{advice}")
        path = folder / ONNX_FILE
        return cls(arm, description, path.stat().st_size, _open_session(arm, path, threads))

    def predict(self, rows: Rows) -> Probabilities:
        """Class probabilities of every row, shape (rows, classes).

        Raises:
            UserError: an output is not a probability distribution over the classes; names the row.
        """
        outputs: list[Probabilities] = [
            self.session.run([OUTPUT_NAME], {INPUT_NAME: rows.inputs[start : start + _BATCH]})[0]
            for start in range(0, len(rows), _BATCH)
        ]
        probabilities = np.concatenate(outputs)
        expected = (len(rows), len(self.description.classes))
        if probabilities.shape != expected:
            raise UserError(
                f"the {self.arm} gives an output of shape {probabilities.shape}, not {expected}"
            )
        self._check(probabilities, rows.ids)
        return probabilities

    def _check(self, probabilities: Probabilities, ids: list[str]) -> None:
        total = probabilities.sum(axis=1, dtype=np.float64)
        broken = _first(~np.isfinite(total))
        if broken is not None:
            raise UserError(
                f"the {self.arm} gives NaN or infinity for test row {ids[broken]!r}; a model that "
                "does so cannot be deployed: look at that row and at how the model was trained"
            )
        no_distribution = np.abs(total - 1) > _SUM_TOLERANCE
        strange = _first((probabilities < 0).any(axis=1) | no_distribution)
        if strange is not None:
            raise UserError(
                f"the {self.arm} gives no probabilities for test row {ids[strange]!r}: the outputs "
                f"sum to {total[strange]:g} and the least is {probabilities[strange].min():g}"
            )


def _open_session(arm: ArmName, path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise UserError(f"the {arm}: ONNX Runtime cannot load {path}: {error}") from error
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    if inputs != [INPUT_NAME] or OUTPUT_NAME not in outputs:
        raise UserError(
            f"the {arm}: {path} takes {', '.join(inputs)} and gives {', '.join(outputs)}; a "
            f"deployable model takes {INPUT_NAME} and gives {OUTPUT_NAME}"
        )
    return session


def _misfit(arm: ArmName, model: Deployable, manifest: DatasetManifest) -> str | None:
    """Why the model cannot be measured on the data set, if so.

    Teacher and champion may come from an earlier run on other data; the others may not, since
    their training rows could then be among these test rows.
    """
    if model.classes != manifest.classes:
        return (
            f"its classes are {', '.join(model.classes)}; the data set's are "
            f"{', '.join(manifest.classes)}, in this order"
        )
    if not _same_input(model.input, manifest.input):
        return f"it takes {_describe(model.input)}; the data set has {_describe(manifest.input)}"
    if arm not in ("teacher", "champion") and model.dataset_digest != manifest.digest:
        return (
            f"it was trained on the data set {model.dataset_digest[:12]}, and this one is "
            f"{manifest.digest[:12]}"
        )
    return None


def _same_input(model: TabularInput | ImageInput, data: TabularInput | ImageInput) -> bool:
    """Same columns in the same order, or images of the same size, whatever their column's name."""
    if isinstance(model, TabularInput) or isinstance(data, TabularInput):
        return model == data
    return model.size == data.size


def _describe(spec: TabularInput | ImageInput) -> str:
    if isinstance(spec, TabularInput):
        return f"the columns {', '.join(spec.columns)}"
    return f"images of size {spec.size}"


def _first(mask: npt.NDArray[np.bool_]) -> int | None:
    """Index of the first true element."""
    return int(mask.argmax()) if mask.any() else None
