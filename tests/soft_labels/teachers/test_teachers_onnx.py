from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from components.shared.dataset import Dataset, Rows
from components.shared.deployable import INPUT_NAME, ONNX_FILE, OUTPUT_NAME, read_deployable
from components.shared.errors import UserError
from components.shared.recipe.teacher import OnnxTeacher, Standardisation
from components.shared.storage import open_storage
from components.shared.teacher import read_teacher
from components.soft_labels.teachers.checking import UnusableRowError
from components.soft_labels.teachers.importing import import_foreign
from components.soft_labels.teachers.opening import open_teacher
from components.soft_labels.teachers.protocol import Teacher
from tests.disks import small_disk
from tests.soft_labels.teachers.conftest import Classifier, softmax

Take = Callable[..., Teacher]


@pytest.fixture
def take(data: Dataset, tmp_path: Path) -> Take:
    """Import an ONNX model, and open what came of it."""

    def import_and_open(model: onnx.ModelProto, **fields: object) -> Teacher:
        onnx.save(model, tmp_path / "given.onnx")
        spec = OnnxTeacher(source="onnx", uri=str(tmp_path / "given.onnx"), **fields)
        record = import_foreign(spec, data, "", tmp_path / "teacher")
        return open_teacher(tmp_path / "teacher", record.digest)

    return import_and_open


@pytest.mark.parametrize(
    "shape",
    [
        ("n", 1, 8, 8),
        ("n", 64),
        ("n", 8, 8),
        ("n", 8, 8, 1),
        (1, 1, 8, 8),
        (7, 64),
        ("n", "c", 8, 8),
    ],
)
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_a_file_of_any_layout_batch_and_type_says_what_its_model_says(
    take: Take, classifier: Classifier, pool: Rows, shape: tuple[int | str, ...], kind: int
) -> None:
    teacher = take(classifier.onnx_model(shape, kind))
    tolerance = 5e-3 if kind == TensorProto.FLOAT16 else 1e-5
    found = softmax(teacher.logits(pool.inputs))
    np.testing.assert_allclose(found, classifier.probabilities(pool.inputs), atol=tolerance)


def test_full_disk_is_said_when_a_file_is_copied_from_s3(
    data: Dataset, s3_root: str, tmp_path: Path
) -> None:
    open_storage(s3_root).write("given.onnx", bytes(100_000))
    spec = OnnxTeacher(source="onnx", uri=f"{s3_root}/given.onnx")
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(UserError, match=f"{disk}.*given.onnx: writing failed.*disk is full"):
            import_foreign(spec, data, "", disk / "teacher")
        assert list(disk.iterdir()) == []


def test_logits_are_taken_as_they_are(take: Take, classifier: Classifier, pool: Rows) -> None:
    teacher = take(classifier.onnx_model(("n", 64), probabilities=False), output="logits")
    found = teacher.logits(pool.inputs)
    np.testing.assert_allclose(found, classifier.logits(pool.inputs), atol=1e-4)


def test_rows_are_standardised_before_the_model_gets_them(
    take: Take, classifier: Classifier, pool: Rows
) -> None:
    teacher = take(
        classifier.onnx_model(("n", 1, 8, 8)), standardise=Standardisation(mean=[2.0], std=[3.0])
    )
    expected = classifier.probabilities((pool.inputs - 2) / 3)
    np.testing.assert_allclose(softmax(teacher.logits(pool.inputs)), expected, atol=1e-5)


def test_outputs_in_another_order_of_classes_are_put_in_the_order_of_the_data(
    take: Take, classifier: Classifier, pool: Rows
) -> None:
    order = list(reversed(range(10)))
    turned = Classifier(classifier.estimator, classifier.weights[:, order], classifier.bias[order])
    teacher = take(turned.onnx_model(("n", 64)), classes=[str(digit) for digit in order])
    expected = classifier.probabilities(pool.inputs)
    np.testing.assert_allclose(softmax(teacher.logits(pool.inputs)), expected, atol=1e-5)


def test_an_onnx_teacher_is_deployable_and_what_is_deployed_gives_its_probabilities(
    take: Take, classifier: Classifier, data: Dataset, pool: Rows, tmp_path: Path
) -> None:
    teacher = take(classifier.onnx_model(("n", 64), probabilities=False), output="logits")
    folder = tmp_path / "teacher"
    deployable = read_deployable(folder)
    assert (deployable.parameters, deployable.classes) == (650, data.manifest.classes)
    assert deployable.imported
    assert deployable.bundle_digest == read_teacher(folder).digest == teacher.digest
    session = ort.InferenceSession(folder / ONNX_FILE)
    (found,) = session.run([OUTPUT_NAME], {INPUT_NAME: pool.inputs})
    np.testing.assert_allclose(found, softmax(teacher.logits(pool.inputs)), atol=1e-6)


def test_the_same_file_is_the_same_teacher_wherever_it_lies(
    data: Dataset, classifier: Classifier, tmp_path: Path
) -> None:
    digests = set()
    for name in ("a.onnx", "b.onnx"):
        onnx.save(classifier.onnx_model(("n", 64)), tmp_path / name)
        spec = OnnxTeacher(source="onnx", uri=str(tmp_path / name))
        digests.add(import_foreign(spec, data, "", tmp_path / f"{name}-teacher").digest)
    assert len(digests) == 1


def test_a_row_without_probabilities_is_named(
    take: Take, classifier: Classifier, pool: Rows
) -> None:
    teacher = take(classifier.onnx_model(("n", 64)))
    rows = pool.inputs[:20].copy()
    rows[13, 0, 3, 3] = np.nan
    with pytest.raises(UnusableRowError, match="NaN or infinity") as raised:
        teacher.logits(rows)
    assert raised.value.row == 13


def test_logits_that_are_called_probabilities_are_refused(
    take: Take, classifier: Classifier
) -> None:
    with pytest.raises(UserError, match="set teacher.output to logits"):
        take(classifier.onnx_model(("n", 64), probabilities=False))


def test_a_graph_that_mixes_the_rows_of_a_call_is_refused(
    take: Take, classifier: Classifier
) -> None:
    model = classifier.onnx_model((2, 64))
    # Written for two rows: it takes the mean of all rows of the call.
    model.graph.node[0].CopyFrom(helper.make_node("Sub", ["pixels", "mean"], ["flat"]))
    model.graph.node.insert(0, helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[0]))
    with pytest.raises(UserError, match="calls of 2: a probability differs .* free axis"):
        take(model)


def test_a_graph_of_a_fixed_number_of_rows_is_refused(take: Take, classifier: Classifier) -> None:
    model = classifier.onnx_model((3, 64))
    rows = numpy_helper.from_array(np.array([3, 64]), "three_rows")
    model.graph.initializer.append(rows)
    model.graph.node[0].CopyFrom(helper.make_node("Reshape", ["pixels", "three_rows"], ["flat"]))
    with pytest.raises(UserError, match="cannot run the model on 64 rows"):
        take(model)


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ({"input_name": "image"}, ("n", 64), "no input 'image'; it has pixels"),
        ({"output_name": "probs"}, ("n", 64), "no output 'probs'; it has scores"),
        ({}, ("n", 63), r"takes rows of shape \[63\], the data set has \[1, 8, 8\]"),
        ({"classes": list("abcdefghij")}, ("n", 64), "knows 'a', .* which the data set does not"),
        ({"standardise": Standardisation(mean=[1, 2], std=[1, 1])}, ("n", 64), "2 means"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    take: Take,
    classifier: Classifier,
    fields: dict[str, object],
    shape: tuple[int | str, ...],
    message: str,
) -> None:
    with pytest.raises(UserError, match=message):
        take(classifier.onnx_model(shape), **fields)


def test_among_several_outputs_the_one_with_a_number_a_class_is_found(
    take: Take, classifier: Classifier, pool: Rows
) -> None:
    model = classifier.onnx_model(("n", 64))
    model.graph.node.append(helper.make_node("ArgMax", ["scores"], ["label"], axis=1))
    model.graph.output.insert(
        0, helper.make_tensor_value_info("label", TensorProto.INT64, ["n", 1])
    )
    found = softmax(take(model).logits(pool.inputs))
    np.testing.assert_allclose(found, classifier.probabilities(pool.inputs), atol=1e-5)


def test_what_is_no_onnx_file_is_refused(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file.onnx").write_bytes(b"something else")
    for name, message in (("file.onnx", "not an ONNX model"), ("gone.onnx", "cannot be read")):
        spec = OnnxTeacher(source="onnx", uri=str(tmp_path / name))
        with pytest.raises(UserError, match=message):
            import_foreign(spec, data, "", tmp_path / "teacher")
    assert not (tmp_path / "teacher").exists()


def test_a_changed_file_is_not_opened(take: Take, classifier: Classifier, tmp_path: Path) -> None:
    digest = take(classifier.onnx_model(("n", 64))).digest
    path = tmp_path / "teacher" / ONNX_FILE
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UserError, match="not the file"):
        open_teacher(tmp_path / "teacher", digest)


def test_a_model_of_nothing_but_classical_operators_is_a_teacher(
    take: Take, classifier: Classifier, pool: Rows
) -> None:
    """As converters write trees and linear models: ONNX's own operators are not even imported."""
    node = helper.make_node(
        "LinearClassifier",
        ["rows"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        coefficients=classifier.weights.T.ravel().tolist(),
        intercepts=classifier.bias.tolist(),
        classlabels_ints=list(range(10)),
        post_transform="SOFTMAX",
    )
    graph = helper.make_graph(
        [node],
        "linear",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 64])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10]),
        ],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 1)]
    teacher = take(helper.make_model(graph, opset_imports=opsets, ir_version=4))
    expected = classifier.probabilities(pool.inputs)
    np.testing.assert_allclose(softmax(teacher.logits(pool.inputs)), expected, atol=1e-5)
