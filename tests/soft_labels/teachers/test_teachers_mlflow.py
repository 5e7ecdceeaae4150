from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import mlflow.onnx
import mlflow.pyfunc
import mlflow.pytorch
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.models import ModelSignature, infer_signature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, Schema
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from components.shared.dataset import Dataset, Rows
from components.shared.errors import StorageFailed, UserError
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import TabularInput
from components.shared.recipe.teacher import MlflowTeacher
from components.shared.teacher import MODEL_FOLDER, OnnxModel, read_teacher
from components.soft_labels.teachers.importing import import_foreign
from components.soft_labels.teachers.mlflow_rows import RowMaker, class_outputs
from components.soft_labels.teachers.mlflow_teacher import load
from components.soft_labels.teachers.opening import open_teacher
from components.soft_labels.teachers.protocol import Teacher
from tests.soft_labels.teachers.conftest import Classifier, softmax

Take = Callable[..., Teacher]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow.*|torch.*")  # advice


class Named(mlflow.pyfunc.PythonModel):
    """A model of a user's own: a table of probabilities, in an order of its own."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        self.weights, self.bias = weights, bias

    def predict(self, context, model_input, params=None):  # MLflow would check types of its own
        rows = np.asarray(model_input).reshape(len(model_input), -1)
        logits = rows @ self.weights + self.bias
        table = pd.DataFrame(softmax(logits), columns=[str(digit) for digit in range(10)])
        return table[[str(digit) for digit in reversed(range(10))]].assign(
            label=logits.argmax(axis=1)
        )


@pytest.fixture(scope="session")
def registry(
    tmp_path_factory: pytest.TempPathFactory, classifier: Classifier, pool: Rows
) -> Iterator[str]:
    """A registry with a model of each flavour; gives its tracking URI."""
    root = tmp_path_factory.mktemp("registry")
    uri, before = f"sqlite:///{root / 'mlflow.db'}", mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("teachers", (root / "artifacts").as_uri())
    mlflow.set_experiment("teachers")
    try:
        with mlflow.start_run():
            _log_all(classifier, pool.inputs)
        MlflowClient().set_registered_model_alias("sklearn", "best", "1")
        yield uri
    finally:
        mlflow.set_tracking_uri(before)


def _log_all(classifier: Classifier, rows: np.ndarray) -> None:
    flat = rows.reshape(len(rows), -1)
    packages: dict[str, Any] = {"pip_requirements": ["mlflow"]}
    mlflow.sklearn.log_model(
        classifier.estimator,
        name="sklearn",
        registered_model_name="sklearn",
        serialization_format="cloudpickle",
        **packages,
    )
    mlflow.sklearn.log_model(
        LinearSVC().fit(flat[:20], np.arange(20) % 10),
        name="svc",
        registered_model_name="svc",
        serialization_format="cloudpickle",
        **packages,
    )
    linear = torch.nn.Linear(64, 10)
    linear.weight.data = torch.from_numpy(classifier.weights.T.astype(np.float32))
    linear.bias.data = torch.from_numpy(classifier.bias.astype(np.float32))
    for dropout, kind in ((0.5, "pickle"), (0.0, "pt2")):
        mlflow.pytorch.log_model(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(dropout), linear).train(
                kind == "pickle"
            ),
            name=kind,
            registered_model_name=f"torch-{kind}",
            serialization_format=kind,
            input_example=rows[:3] if kind == "pt2" else None,
            signature=infer_signature(rows[:3], classifier.logits(rows[:3])),
            **packages,
        )
    mlflow.onnx.log_model(
        classifier.onnx_model(("n", 64)), name="onnx", registered_model_name="onnx", **packages
    )
    mlflow.pyfunc.log_model(
        name="pyfunc",
        python_model=Named(classifier.weights, classifier.bias),
        registered_model_name="pyfunc",
        **packages,
    )


@pytest.fixture
def take(data: Dataset, registry: str, tmp_path: Path) -> Take:
    """Import a registered model, and open what came of it."""

    def import_and_open(uri: str, **fields: object) -> Teacher:
        spec = MlflowTeacher(source="mlflow", uri=uri, **{"allow_code": True, **fields})
        record = import_foreign(spec, data, registry, tmp_path / "teacher")
        return open_teacher(tmp_path / "teacher", record.digest)

    return import_and_open


@pytest.mark.parametrize(
    ("uri", "fields"),
    [
        ("models:/sklearn@best", {}),
        ("models:/torch-pickle/1", {"output": "logits"}),
        ("models:/torch-pt2/1", {"output": "logits"}),
        ("models:/onnx/1", {"allow_code": False}),
        ("models:/pyfunc/1", {}),
    ],
)
def test_a_registered_model_says_what_it_said_before(
    take: Take, classifier: Classifier, pool: Rows, uri: str, fields: dict[str, object]
) -> None:
    teacher = take(uri, **fields)
    found = softmax(teacher.logits(pool.inputs))
    np.testing.assert_allclose(found, classifier.probabilities(pool.inputs), atol=1e-5)


def test_an_alias_is_followed_to_the_version_that_it_is_on(take: Take, tmp_path: Path) -> None:
    teacher = take("models:/sklearn@best")
    record = read_teacher(tmp_path / "teacher", teacher.digest)
    assert record.in_words == "the MLflow model models:/sklearn/1 (sklearn)"


def test_an_onnx_model_needs_neither_code_nor_mlflow_afterwards(take: Take, tmp_path: Path) -> None:
    take("models:/onnx/1", allow_code=False)
    record = read_teacher(tmp_path / "teacher")
    assert isinstance(record.model, OnnxModel)
    assert not (tmp_path / "teacher" / MODEL_FOLDER).exists()


@pytest.mark.parametrize("name", ["sklearn", "torch-pickle", "pyfunc"])
def test_a_model_that_may_run_code_is_not_loaded_unless_the_recipe_allows_it(
    take: Take, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UserError, match="can run code of its own .* teacher.allow_code: true"):
        take(f"models:/{name}/1", allow_code=False)
    assert not (tmp_path / "teacher").exists()


@pytest.mark.parametrize(
    ("uri", "fields", "message"),
    [
        ("models:/nobody/1", {}, "nobody"),
        ("models:/sklearn@worst", {}, "alias worst not found"),
        ("models:/sklearn/2", {}, "version=2"),
        ("models:/svc/1", {}, "LinearSVC without predict_proba"),
        ("models:/torch-pickle/1", {}, "set teacher.output to logits"),
        ("models:/sklearn/1", {"classes": ["zero", "one"]}, "knows 'one', 'zero', which"),
    ],
)
def test_a_model_that_cannot_teach_is_refused(
    take: Take, uri: str, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        take(uri, **fields)


def test_changed_files_are_not_loaded(take: Take, tmp_path: Path) -> None:
    digest = take("models:/sklearn/1").digest
    path = tmp_path / "teacher" / MODEL_FOLDER / "model.pkl"
    path.write_bytes(b"anything")
    with pytest.raises(UserError, match="not the files"):
        open_teacher(tmp_path / "teacher", digest)


def test_a_server_that_is_gone_is_an_outage_and_its_password_is_not_told(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:secret@127.0.0.1:9")
    spec = MlflowTeacher(source="mlflow", uri="models:/sklearn/1")
    with pytest.raises(StorageFailed, match="MLflow at http://127.0.0.1:9") as raised:
        import_foreign(spec, data, "", tmp_path / "teacher")
    assert "secret" not in str(raised.value)


def test_columns_come_by_name_with_their_types_and_categories() -> None:
    taken = TabularInput(
        columns=["age", CategoricalColumn(name="city", kind="categorical", categories=["a", "b"])]
    )
    frame = pd.DataFrame({"city": ["a"], "age": [30]})
    rows = np.array([[41, 1], [7, 0], [8, 2], [9, np.nan]], np.float32)
    made = RowMaker(infer_signature(frame), taken)(rows)
    assert list(made.columns) == ["city", "age"]
    assert made["age"].tolist() == [41, 7, 8, 9]
    assert made["age"].dtype == np.int64
    assert made["city"].fillna("missing").tolist() == ["b", "a", "missing", "missing"]
    with pytest.raises(UserError, match="age as int64; the data have fractions"):
        RowMaker(infer_signature(frame), taken)(rows + 0.5)
    with pytest.raises(UserError, match="takes the column city, which data.input.columns does not"):
        RowMaker(infer_signature(frame), TabularInput(columns=["age"]))


CATEGORIES = {
    "flag": ["0", "1"],
    "pclass": ["3", "1", "2"],
    "city": ["Bonn", "1"],
    "code": ["1", "01"],
}
TYPED = TabularInput(
    columns=[
        "number",
        *(
            CategoricalColumn(name=name, kind="categorical", categories=names)
            for name, names in CATEGORIES.items()
        ),
    ]
)


@pytest.mark.parametrize(
    ("name", "kind", "values", "expected"),
    [
        ("flag", "boolean", [0, 1, 0], [False, True, False]),
        ("number", "boolean", [0, 1, 0], [False, True, False]),
        ("pclass", "long", [0, 1, 2], [3, 1, 2]),
        ("pclass", "double", [0, 1, 2], [3.0, 1.0, 2.0]),
        ("pclass", "string", [0, 1, 2], ["3", "1", "2"]),
        ("number", "integer", [-7, 2**24, 0], [-7, 2**24, 0]),
    ],
)
def test_column_has_the_type_that_the_model_asks_for(
    name: str, kind: str, values: list[float], expected: list[object]
) -> None:
    made = made_column(name, kind, values)
    assert made.tolist() == expected
    assert {type(value) for value in made.tolist()} == {type(expected[0])}


@pytest.mark.parametrize(
    ("name", "kind", "values", "expected"),
    [
        ("number", "boolean", [0, np.nan], "values other than 0 and 1"),
        ("number", "boolean", [0, 2], "values other than 0 and 1"),
        ("flag", "boolean", [0, np.nan], "or gaps"),
        ("flag", "boolean", [0, 2], "or gaps"),
        ("pclass", "boolean", [0, 1], "values other than 0 and 1"),
        ("number", "long", [0, 0.5], "fractions"),
        ("number", "long", [0, np.nan], "or gaps"),
        ("number", "integer", [0, np.inf], "numbers too large"),
        ("number", "integer", [0, 2.0**40], "numbers too large"),
        ("city", "integer", [1, 0], "names of categories that are no numbers"),
        ("code", "integer", [0, 1], "or the same one"),
    ],
)
def test_value_that_a_type_cannot_hold_is_never_another_value(
    name: str, kind: str, values: list[float], expected: str
) -> None:
    with pytest.raises(UserError, match=f"takes column {name} as .*{expected}.*correct them"):
        made_column(name, kind, values)


def made_column(name: str, kind: str, values: list[float]) -> "pd.Series[Any]":
    """What a model gets of which one column is taken, of a type; categories are given as codes."""
    rows = np.zeros((len(values), len(TYPED.columns)), np.float32)
    rows[:, TYPED.names.index(name)] = values
    signature = ModelSignature(inputs=Schema([ColSpec(kind, name)]))
    made = RowMaker(signature, TYPED)(rows)
    assert isinstance(made, pd.DataFrame)
    return made[name]


def test_one_of_several_outputs_is_picked_by_name() -> None:
    order = ["x", "y"]
    both = {"label": np.zeros(2), "scores": np.ones((2, 2))}
    np.testing.assert_array_equal(class_outputs(both, "scores", order), np.ones((2, 2)))
    np.testing.assert_array_equal(class_outputs({"probabilities": [[0, 1]]}, "", order), [[0, 1]])
    with pytest.raises(UserError, match="gives label, scores; name one of them"):
        class_outputs(both, "", order)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [False, True], [0, 1]])
def test_classes_of_a_scikit_learn_model_are_called_as_those_of_the_data(
    tmp_path: Path, labels: list[float]
) -> None:
    """Which have no 0.0, but 0."""
    mlflow.sklearn.save_model(
        LogisticRegression().fit([[0.0], [1.0]], labels),
        tmp_path / "model",
        serialization_format="cloudpickle",
        pip_requirements=["mlflow"],
    )
    assert load(tmp_path / "model", "sklearn")[1] == ["0", "1"]
