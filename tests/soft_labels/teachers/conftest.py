"""A real classifier of the digits, and what tests of teachers need of the data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from components.shared.dataset import Dataset, Rows


@dataclass(frozen=True)
class Classifier:
    """A linear model of the raw pixels."""

    estimator: LogisticRegression
    weights: np.ndarray
    """Shape (64, 10)."""
    bias: np.ndarray

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Of rows of any layout that keeps the order of the pixels."""
        return (rows.reshape(len(rows), -1) @ self.weights + self.bias).astype(np.float32)

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        return softmax(self.logits(rows))

    def onnx_model(
        self,
        shape: tuple[int | str, ...],
        kind: int = TensorProto.FLOAT,
        probabilities: bool = True,
    ) -> onnx.ModelProto:
        """The same as ONNX: input ``pixels`` of a shape (with the axis of the rows), output
        ``scores``."""
        array = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
        nodes = [
            helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["logits"]),
            helper.make_node("Softmax" if probabilities else "Identity", ["logits"], ["scores"]),
        ]
        graph = helper.make_graph(
            nodes,
            "digits",
            [helper.make_tensor_value_info("pixels", kind, list(shape))],
            [helper.make_tensor_value_info("scores", kind, [shape[0], 10])],
            [
                numpy_helper.from_array(self.weights.astype(array), "weights"),
                numpy_helper.from_array(self.bias.astype(array), "bias"),
            ],
        )
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def data(digits: Path) -> Dataset:
    return Dataset.open(digits)


@pytest.fixture(scope="session")
def pool(data: Dataset) -> Rows:
    """900 rows."""
    return data.load("unlabelled")


@pytest.fixture(scope="session")
def classifier(data: Dataset) -> Classifier:
    rows = data.load("labelled")
    flat = rows.inputs.reshape(len(rows), -1)
    estimator = LogisticRegression(C=0.01, max_iter=200)
    estimator.fit(flat, [data.manifest.classes[label] for label in rows.labels])
    return Classifier(estimator, estimator.coef_.T, estimator.intercept_)
