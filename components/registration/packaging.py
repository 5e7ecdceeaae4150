"""The student as an MLflow model: the ONNX flavour around exactly the measured bytes."""

import shutil
from pathlib import Path

import mlflow
import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from components.registration.submission import Submission
from components.shared.deployable import DEPLOYABLE, INPUT_NAME, ONNX_FILE, OUTPUT_NAME
from components.shared.recipe.inputs import files_of
from components.shared.results.profile import DATA_PROFILE


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
        # Given to MLflow, whose own search would load the model in a subprocess.
        pip_requirements=_requirements(submission),
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    # MLflow wrote the graph anew; what is deployed must be the bytes that were measured.
    shutil.copyfile(student / ONNX_FILE, folder / ONNX_FILE)
    shutil.copyfile(student / DEPLOYABLE, folder / DEPLOYABLE)
    for name in files_of(submission.deployable.input):
        shutil.copyfile(submission.inputs.dataset / name, folder / name)
    shutil.copyfile(submission.inputs.validation / DATA_PROFILE, folder / DATA_PROFILE)


def _requirements(submission: Submission) -> list[str]:
    """What serving needs."""
    versions = {
        "mlflow": mlflow.__version__,
        "numpy": np.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": submission.deployable.onnxruntime,
    }
    return [f"{name}=={version}" if version else name for name, version in versions.items()]


def _signature(submission: Submission) -> ModelSignature:
    deployable = submission.deployable
    float32 = np.dtype(np.float32)
    return ModelSignature(
        inputs=Schema([TensorSpec(float32, (-1, *deployable.input.shape), INPUT_NAME)]),
        outputs=Schema([TensorSpec(float32, (-1, len(deployable.classes)), OUTPUT_NAME)]),
    )
