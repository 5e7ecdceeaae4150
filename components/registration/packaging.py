"""The student as an MLflow model: the ONNX flavour around exactly the measured bytes."""

import shutil
from importlib.metadata import version
from pathlib import Path

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from components.registration.submission import Submission
from components.shared.deployable import DEPLOYABLE, INPUT_NAME, ONNX_FILE, OUTPUT_NAME

_REQUIREMENTS = ("mlflow", "numpy", "onnx", "onnxruntime")
"""What serving needs; given to MLflow, whose own search would load the model in a subprocess."""


def save_mlflow_model(submission: Submission, description: Model, folder: Path) -> None:
    """Write the folder that MLflow's pyfunc and ONNX loaders read.

    Args:
        submission: the run whose student is saved.
        description: MLflow's record of the model, with the ids of run and logged model.
        folder: where to write; must not exist.
    """
    student = submission.student
    mlflow.onnx.save_model(
        onnx.load(student / ONNX_FILE),
        str(folder),
        mlflow_model=description,
        signature=_signature(submission),
        input_example=submission.example,
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    # MLflow wrote the graph anew; what is deployed must be the bytes that were measured.
    shutil.copyfile(student / ONNX_FILE, folder / ONNX_FILE)
    shutil.copyfile(student / DEPLOYABLE, folder / DEPLOYABLE)


def _signature(submission: Submission) -> ModelSignature:
    deployable = submission.deployable
    float32 = np.dtype(np.float32)
    return ModelSignature(
        inputs=Schema([TensorSpec(float32, (-1, *deployable.input.shape), INPUT_NAME)]),
        outputs=Schema([TensorSpec(float32, (-1, len(deployable.classes)), OUTPUT_NAME)]),
    )
