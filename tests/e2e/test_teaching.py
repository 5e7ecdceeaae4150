"""Teachers and labelling beyond the demo's, from a recipe to the registry."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from tests.command_line import DIGITS, SHORT, Ended, Workspace


def events(ended: Ended, event: str) -> list[dict[str, Any]]:
    lines = (line.strip() for line in (ended.output / "run.log").read_text().splitlines())
    found = [json.loads(line) for line in lines if line.startswith('{"event": ')]
    return [one for one in found if one["event"] == event]


def test_workers_label_at_once_and_nothing_twice(workspace: Workspace) -> None:
    ended = workspace.distil(
        "out", "labelling.workers=2", "labelling.shard_rows=256", "storage=shared"
    )
    assert ended.status in (0, 3), ended.stderr
    labelled = {one["step"]: one["rows"] for one in events(ended, "labelled")}
    assert set(labelled) == {"label_shards_0", "label_shards_1", "generate_soft_labels"}
    assert labelled["generate_soft_labels"] == 0
    assert labelled["label_shards_0"] + labelled["label_shards_1"] == 1797
    assert min(labelled["label_shards_0"], labelled["label_shards_1"]) > 500
    assert list((workspace.folder / "shared" / "soft-labels").glob("*/manifest.json"))


def several(path: Path, *members: dict[str, Any], **section: Any) -> Path:
    """The recipe of the digits with several teachers."""
    recipe = yaml.safe_load(DIGITS.read_text())
    recipe["teacher"] = {"source": "ensemble", "members": list(members), **section}
    path.write_text(yaml.safe_dump(recipe))
    return path


def trained(steps: int) -> dict[str, Any]:
    """The recipe's teacher, trained for so long."""
    teacher: dict[str, Any] = yaml.safe_load(DIGITS.read_text())["teacher"]
    for name, value in teacher["training"].items():
        teacher["training"][name] = float(value) if isinstance(value, str) else value
    teacher["training"]["steps"] = steps
    return teacher


def distil(workspace: Workspace, recipe: Path) -> Ended:
    shortened = [setting for setting in SHORT if not setting.startswith("teacher.")]
    options = [part for setting in shortened for part in ("--set", setting)]
    ended = workspace.end("run", recipe, "--output", "out", *options)
    assert ended.status in (0, 3), ended.stderr
    return ended


def teachers_of(workspace: Workspace) -> list[dict[str, Any]]:
    """What the combined store says of its teachers."""
    stores = workspace.folder.glob(".kubedistill/storage/soft-labels/*/manifest.json")
    found = [json.loads(store.read_text())["identity"]["teachers"] for store in stores]
    return max(found, key=len)


def test_two_trained_teachers_differ_and_teach_as_one(workspace: Workspace, tmp_path: Path) -> None:
    members = [{"weight": 2, "teacher": trained(150)}, {"teacher": trained(150)}]
    ended = distil(workspace, several(tmp_path / "two.yaml", *members))
    together = teachers_of(workspace)
    assert [round(one["weight"], 6) for one in together] == [0.666667, 0.333333]
    assert together[0]["digest"] != together[1]["digest"], "one seed makes one teacher of two"
    arms = ended.summary["arms"]
    assert arms["teacher"]["accuracy"] > 0.9
    assert "latency_ms" not in arms["teacher"], "it is no one file that could be timed"
    assert arms["student"]["accuracy"] > 0.5


def test_trained_teachers_are_weighed_by_labelled_rows_that_they_have_not_seen(
    workspace: Workspace, tmp_path: Path
) -> None:
    members = [{"teacher": trained(steps)} for steps in (150, 25, 60)]
    ended = distil(workspace, several(tmp_path / "three.yaml", *members, weighting="quality"))
    assert [(one["rows"], one["of"]) for one in events(ended, "held_out")] == [(20, 100)] * 3
    (told,) = events(ended, "teacher_weights")
    assert told["rows"] == [20, 20, 20]
    assert told["weights"] == [one["weight"] for one in teachers_of(workspace)]
    assert told["weights"][0] > told["weights"][1]
    assert ended.summary["arms"]["teacher"]["accuracy"] > 0.85


def test_teachers_of_some_digits_each_teach_a_student_all_of_them(
    workspace: Workspace, tmp_path: Path
) -> None:
    pixels, digits = load_digits(return_X_y=True)
    members = []
    for name, known in (("low", range(6)), ("high", range(9, 4, -1))):
        rows = np.isin(digits, known)
        model = LogisticRegression(C=0.01, max_iter=1000).fit(pixels[rows], digits[rows])
        order = [model.classes_.tolist().index(digit) for digit in known]
        onnx.save(linear(model.coef_[order].T, model.intercept_[order]), tmp_path / f"{name}.onnx")
        classes = [str(digit) for digit in known]
        uri = str(tmp_path / f"{name}.onnx")
        members.append({"teacher": {"source": "onnx", "uri": uri, "classes": classes}})
    recipe = several(tmp_path / "some.yaml", *members, weighting="confidence")
    arms = distil(workspace, recipe).summary["arms"]
    assert arms["teacher"]["accuracy"] > 0.8, "half of the digits each would be less than .6"
    assert arms["student"]["accuracy"] > 0.5


def linear(weights: Any, bias: Any) -> onnx.ModelProto:
    """Softmax of a linear model of the pixels."""
    nodes = [
        helper.make_node("Gemm", ["pixels", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(bias)])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(bias.astype(np.float32), "bias"),
        ],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
