"""A teacher that is an ONNX file in S3."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from components.shared.bundle import BUNDLE, WEIGHTS, load_network
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.recipe.teacher import OnnxTeacher
from components.shared.storage import join, open_storage
from components.soft_labels.teachers.importing import import_foreign
from components.soft_labels.teachers.opening import open_teacher
from components.training import steps


def test_a_file_in_s3_is_the_same_teacher_as_on_disk(
    digits: Path, s3_root: str, tmp_path: Path
) -> None:
    data = Dataset.open(digits)
    weights = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["pixels", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
        ],
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]),
        tmp_path / "model.onnx",
    )
    open_storage(s3_root).upload("teachers/model.onnx", tmp_path / "model.onnx")
    digests = [
        import_foreign(OnnxTeacher(source="onnx", uri=uri), data, "", tmp_path / name).digest
        for name, uri in (
            ("from-s3", join(s3_root, "teachers/model.onnx")),
            ("from-disk", str(tmp_path / "model.onnx")),
        )
    ]
    assert digests[0] == digests[1]
    assert sorted(path.name for path in (tmp_path / "from-s3").iterdir()) == [
        "deployable.json",
        "model.onnx",
        "teacher.json",
    ]
    rows = data.load("labelled").inputs
    assert np.isfinite(open_teacher(tmp_path / "from-s3", digests[0]).logits(rows)).all()


def test_a_bundle_in_s3_is_taken_over_as_it_is(digits: Path, s3_root: str, tmp_path: Path) -> None:
    digest = Dataset.open(digits).manifest.digest
    section = {"model": {"family": "mlp", "hidden": [4]}, "training": {"steps": 5}}
    trained = steps.train_teacher(digits, digest, section, 0, tmp_path / "teacher")
    for name in (BUNDLE, WEIGHTS):
        open_storage(s3_root).upload(f"teachers/{name}", tmp_path / "teacher" / name)
    given = {"source": "bundle", "uri": join(s3_root, "teachers")}
    assert steps.train_teacher(digits, digest, given, 0, tmp_path / "taken") == trained
    assert load_network(tmp_path / "taken")[0] == trained


def test_a_file_that_is_not_there_is_named(digits: Path, s3_root: str, tmp_path: Path) -> None:
    uri = join(s3_root, "teachers/gone.onnx")
    with pytest.raises(UserError, match="gone.onnx"):
        import_foreign(
            OnnxTeacher(source="onnx", uri=uri), Dataset.open(digits), "", tmp_path / "t"
        )
    assert not (tmp_path / "t").exists()
