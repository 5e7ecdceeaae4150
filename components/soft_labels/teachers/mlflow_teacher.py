"""A teacher that is an MLflow model: scikit-learn, PyTorch, or any pyfunc with class probabilities.

Loading one may run code that it brings along; nothing here loads one that the recipe does not allow
to.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.manifest import label_name
from components.shared.mlflow_settings import set_mlflow_defaults
from components.shared.recipe.inputs import InputSpec
from components.shared.teacher import MODEL_FOLDER, Flavour, MlflowModel, TeacherRecord
from components.soft_labels.teachers.checking import as_logits, column_order, ran_out_of_memory
from components.soft_labels.teachers.layout import Array, standardised
from components.soft_labels.teachers.mlflow_rows import RowMaker, class_outputs

Predict = Callable[[Any], Any]
"""From rows as the model wants them to what it gives."""


class MlflowModelTeacher:
    """Runs the model in this process."""

    def __init__(self, folder: Path, record: TeacherRecord, model: MlflowModel) -> None:
        """Load the model.

        Args:
            folder: the teacher artifact.
            record: what it says of itself.
            model: the part of it about the model.

        Raises:
            UserError: a file is not the one described, the model does not load, or does not take
                the data set's rows.
        """
        from mlflow.models import Model

        files = folder / MODEL_FOLDER
        if hash_files(files) != model.files:
            raise UserError(f"{files}: not the files that the teacher's description is of")
        self.digest = record.digest
        self.classes: list[str] = record.classes
        self.input: InputSpec = record.input
        self.preprocessing_digest = record.preprocessing_digest
        self._preprocessing, self._model = record.preprocessing, model
        self._order = column_order(model.order, record.classes, "the MLflow model")
        self._rows = RowMaker(Model.load(str(files)).signature, record.input)
        self._predict, _ = load(files, model.flavour)

    def logits(self, inputs: Array) -> Array:
        """Logits of rows of raw features, shape (rows, classes).

        Raises:
            MemoryError: for so many rows at once there is not enough.
            UnusableRowError: the model gives no probabilities, or no finite logits, for a row.
            UserError: the model fails, or gives something else than a number a class.
        """
        rows = self._rows(standardised(inputs, self._preprocessing))
        try:
            output = self._predict(rows)
        except Exception as error:  # whatever the model's own code raises
            if ran_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise UserError(
                f"the MLflow model fails on {len(inputs)} rows: {type(error).__name__}: {error}"
            ) from error
        model = self._model
        values = class_outputs(output, model.output_name, model.order)
        checked = as_logits(values, model.gives, len(inputs), len(self.classes))
        return np.ascontiguousarray(checked[:, self._order])


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in paths
        if path.parent.name != "__pycache__"  # left behind where the model's code was imported
    }


def load(folder: Path, flavour: Flavour) -> tuple[Predict, list[str] | None]:
    """Load an MLflow model, which may run its code.

    Returns:
        What it predicts with, and its classes in the order of its outputs, if it knows them.

    Raises:
        UserError: it does not load, or gives no probabilities.
    """
    set_mlflow_defaults()
    try:
        return _LOADERS[flavour](str(folder))
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise UserError(
            f"the MLflow model needs the Python module {error.name}, which the image of this step "
            "does not have; take an image with what the model's requirements.txt lists, or serve "
            "the model and use teacher.source: endpoint"
        ) from error
    except Exception as error:  # whatever the model's own code raises
        raise UserError(
            f"the MLflow model cannot be loaded ({flavour}): {type(error).__name__}: {error}"
        ) from error


def _load_sklearn(uri: str) -> tuple[Predict, list[str] | None]:
    import mlflow.sklearn

    estimator = mlflow.sklearn.load_model(uri)
    if not hasattr(estimator, "predict_proba"):
        raise UserError(
            f"the MLflow model is a {type(estimator).__name__} without predict_proba, so that it "
            "gives no probabilities to learn from"
        )

    def predict(rows: Any) -> Any:
        return estimator.predict_proba(rows.reshape(len(rows), -1) if rows.ndim > 2 else rows)

    return predict, [str(label_name(name)) for name in np.asarray(estimator.classes_).tolist()]


def _load_pytorch(uri: str) -> tuple[Predict, list[str] | None]:
    import mlflow.pytorch
    import torch

    from components.shared.device import compute_device

    device = compute_device()
    module: torch.nn.Module = mlflow.pytorch.load_model(uri, map_location=device).to(device)
    if not isinstance(module, torch.fx.GraphModule):  # exported: in the mode that it had then
        module.eval()

    def predict(rows: Any) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(np.asarray(rows)).to(device))

    return predict, None


def _load_pyfunc(uri: str) -> tuple[Predict, list[str] | None]:
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(uri).predict, None


_LOADERS: dict[Flavour, Callable[[str], tuple[Predict, list[str] | None]]] = {
    "sklearn": _load_sklearn,
    "pytorch": _load_pytorch,
    "python_function": _load_pyfunc,
}
