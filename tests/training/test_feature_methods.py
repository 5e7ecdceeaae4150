"""Methods that look at more than logits through the training step, on digits: inside teacher and
student, or at networks that learn at the same time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.compression.recovery import loss_of
from components.shared.bundle import ModelBundle, load_network, read_bundle
from components.shared.errors import UserError
from components.shared.events import parse_event
from components.shared.recipe import load_recipe
from components.shared.recipe.objectives import Kd
from components.shared.recipe.outside_models import MODULES
from components.training import steps
from components.training.online import check_layers_of
from components.training.request import ArmRequest, Place
from pipelines.layer_check import check_layers
from tests.command_line import DIGITS, Done
from tests.training.labelled_digits import digest_of_data, label

TEACHER: dict[str, Any] = {
    "source": "train",
    "model": {"family": "cnn", "channels": [8, 16], "hidden": 24},
    "training": {"steps": 30, "batch_size": 50},
}
STUDENT: dict[str, Any] = {
    "model": {"family": "cnn", "channels": [6], "hidden": 12},
    "training": {"steps": 12, "batch_size": 50, "learning_rate": 0.01},
}
METHODS: dict[str, Any] = {
    "hints and attention": [
        "kd",
        {"kind": "fitnet", "layers": [{"student": "body.3", "teacher": "body.6"}]},
        "attention_transfer",
    ],
    "hidden states": {"kind": "hidden_states", "similarity": "cosine"},
    "alignment": ["kd", {"kind": "hidden_states", "similarity": "cka"}],
    "relations": ["kd", "rkd", "similarity_preserving"],
    "contrast": ["kd", {"kind": "crd", "negatives": 64}],
    "peers": {"kind": "mutual", "peers": 2},
    "another peer": ["kd", {"kind": "mutual", "model": {"family": "mlp", "hidden": [16]}}],
    "deeper exit": ["kd", {"kind": "deeper_exit", "exits": ["body.3"]}],
    "teacher that learns": {
        "kind": "online_teacher",
        "model": {"family": "cnn", "channels": [8, 16], "hidden": 24},
    },
}
GROWING = ("contrast", "teacher that learns")
"""Those that have more to learn as a memory fills, or as a teacher finds out what to say."""
ALONE = ("peers", "another peer", "teacher that learns", "deeper exit")
"""Those that are not given the teacher."""


@dataclass(frozen=True)
class Lesson:
    """Digits with a teacher and its labels."""

    dataset: Path
    teacher: Path
    teacher_digest: str
    store: Path
    store_digest: str

    def train(self, output: Path, method: Any, arm: str = "student", **given: Any) -> ModelBundle:
        online = {"teacher": self.teacher, "teacher_digest": self.teacher_digest}
        return steps.train_student(
            self.dataset,
            digest_of_data(self.dataset),
            str(self.store),
            self.store_digest,
            arm,
            STUDENT,
            {"temperature": 2.0, "weight": 0.9, "method": method},
            0,
            output,
            **{**online, **given},
        )


@pytest.fixture(scope="module")
def lesson(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    folder = tmp_path_factory.mktemp("taught")
    teacher = steps.train_teacher(digits, digest_of_data(digits), TEACHER, 0, folder / "teacher")
    labels = label(digits, folder / "teacher", folder / "store")
    return Lesson(digits, folder / "teacher", teacher.digest, folder / "store", labels)


@pytest.fixture(scope="module")
def plain_student(lesson: Lesson, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "student"
    lesson.train(folder, "kd")
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_student_is_trained_by_the_method_and_its_bundle_has_the_student_alone(
    lesson: Lesson, plain_student: Path, tmp_path: Path, method: str
) -> None:
    given = {"teacher": None, "teacher_digest": ""} if method in ALONE else {}
    made = lesson.train(tmp_path / "student", METHODS[method], **given)
    bundle, network = load_network(tmp_path / "student", made.digest)
    plain, other = load_network(plain_student)
    assert bundle.parameters == plain.parameters
    assert network.state_dict().keys() == other.state_dict().keys()
    assert bundle.weights_sha256 != plain.weights_sha256
    if method not in GROWING:
        assert bundle.curve[-1].loss < bundle.curve[0].loss
    assert bundle.selection is not None
    written = METHODS[method] if isinstance(METHODS[method], list) else [METHODS[method]]
    kinds = [one if isinstance(one, str) else one["kind"] for one in written]
    assert [one.kind for one in bundle.selection.candidates[0].method] == kinds


def test_form_that_learns_on_leaves_out_what_looks_at_other_networks(
    lesson: Lesson, tmp_path: Path
) -> None:
    both = lesson.train(tmp_path / "both", ["dkd", "rkd"])
    assert [one.kind for one in loss_of(both).objectives] == ["dkd"]
    alone = lesson.train(tmp_path / "alone", ["fitnet", "mutual", METHODS["deeper exit"][1]])
    assert loss_of(alone).objectives == (Kd(kind="kd"),)


def test_baselines_do_not_look_at_the_teacher(lesson: Lesson, tmp_path: Path) -> None:
    for arm in ("hard_label", "pseudo_label"):
        with_teacher = lesson.train(tmp_path / "a", "fitnet", arm)
        without = lesson.train(tmp_path / "b", "kd", arm, teacher=None, teacher_digest="")
        assert with_teacher == without


def refused(
    lesson: Lesson, output: Path, capsys: pytest.CaptureFixture[str], method: Any, **given: Any
) -> str:
    with pytest.raises(SystemExit) as ended:
        lesson.train(output, method, **given)
    assert ended.value.code == 2
    last = parse_event(capsys.readouterr().out.splitlines()[-1])
    assert last is not None
    assert not output.exists()
    return str(last["message"])


def named(student: str, teacher: str, kind: str = "fitnet") -> dict[str, Any]:
    return {"kind": kind, "layers": [{"student": student, "teacher": teacher}]}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            named("body.33", "body.6"),
            "fitnet: layers[0].student: the student has no layer 'body.33'; did you mean body.3",
        ),
        (
            named("body.3", "layer4"),
            "fitnet: layers[0].teacher: the teacher has no layer 'layer4'; there are preprocess, ",
        ),
        (
            named("body.3", "body.9", "attention_transfer"),
            "attention_transfer: compares places, but body.3 of the student (maps of 6 x 4 x 4) "
            "and body.9 of the teacher (a vector of 24) have one in common",
        ),
    ],
)
def test_layer_that_cannot_be_compared_is_refused_before_training(
    lesson: Lesson,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    method: Any,
    expected: str,
) -> None:
    said = refused(lesson, tmp_path / "student", capsys, method)
    assert said.startswith(f"distillation.method: {expected}")


def test_exit_that_is_not_there_is_refused_before_training_whoever_the_teacher_is(
    lesson: Lesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exits = {"kind": "deeper_exit", "exits": ["body.3", "body.33"]}
    output = tmp_path / "student"
    said = refused(lesson, output, capsys, ["kd", exits], teacher=None, teacher_digest="")
    assert '"training_rows"' not in capsys.readouterr().out
    expected = "deeper_exit: exits[1]: the student has no layer 'body.33'; did you mean body.3"
    assert said.startswith(f"distillation.method: {expected}")
    cnn = "student.model={family: cnn, channels: [4], hidden: 8}"
    onnx = "teacher={source: onnx, uri: /model.onnx}"
    recipe = load_recipe(DIGITS, [cnn, onnx, f"distillation.method={['kd', exits]}"])
    with pytest.raises(UserError, match=expected.replace("[", r"\[")):
        check_layers(recipe)


def test_student_that_is_not_built_in_is_looked_at_before_its_layers(
    lesson: Lesson,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(MODULES, "tests.factories")
    model = {"family": "factory", "factory": "tests.factories:computing"}
    monkeypatch.setitem(STUDENT, "model", {**model, "arguments": {"what": "fails"}})
    said = refused(lesson, tmp_path / "student", capsys, "fitnet")
    assert said.startswith("model: it fails on 3 rows of the data, with RuntimeError")
    model["factory"] = "tests.factories:SmallCnn"
    monkeypatch.setitem(STUDENT, "model", model)
    said = refused(lesson, tmp_path / "student", capsys, named("mixx", "body.6"))
    assert "the student has no layer 'mixx'; there are preprocess" in said


def test_teacher_has_to_be_there_and_to_be_the_one_that_labelled(
    lesson: Lesson, plain_student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "student"
    said = refused(lesson, output, capsys, "rkd", teacher=None, teacher_digest="")
    assert "runs the teacher in training, but the step was given none" in said
    other = read_bundle(plain_student).digest
    given = {"teacher": plain_student, "teacher_digest": other}
    said = refused(lesson, output, capsys, "rkd", **given)
    assert f"is the teacher {other[:12]}, but the soft labels are those of" in said


def test_teacher_is_staged_for_other_nodes_with_the_rest(lesson: Lesson, tmp_path: Path) -> None:
    request = ArmRequest(
        dataset=str(lesson.dataset),
        dataset_digest="d",
        seed=0,
        storage="",
        arm="student",
        soft_labels=str(lesson.store),
        soft_labels_digest="s",
        student={},
        distillation={},
        teacher=str(lesson.teacher),
        teacher_digest=lesson.teacher_digest,
    )
    place = Place(str(tmp_path / "place"))
    place.stage(request)
    with place.taken() as taken:
        assert isinstance(taken, ArmRequest)
        assert taken.teacher is not None
        assert Path(taken.teacher) != lesson.teacher
        bundle, _ = load_network(Path(taken.teacher), taken.teacher_digest)
    assert bundle.digest == lesson.teacher_digest


def test_commands_refuse_layers_that_the_networks_of_a_recipe_do_not_have(
    tmp_path: Path, command: Callable[..., Done]
) -> None:
    method = f"distillation.method={named('body.3', 'body.66')}"
    cnn = "student.model={family: cnn, channels: [4], hidden: 8}"
    for asked in ("validate", "run", "compile"):
        done = command(tmp_path, asked, DIGITS, "--set", cnn, "--set", method)
        assert done.status == 2
        said = " ".join(done.stderr.split())
        assert "the teacher has no layer 'body.66'; did you mean body.6" in said


def test_recipe_with_layers_that_its_networks_do_not_have_is_refused_without_training() -> None:
    cnn = "student.model={family: cnn, channels: [4], hidden: 8}"
    for override in ("fitnet", named("body.3", "body.6")):
        recipe = load_recipe(DIGITS, [cnn, f"distillation.method={override}"])
        check_layers_of(recipe, recipe.data.input, 10)
    recipe = load_recipe(DIGITS, [cnn, f"distillation.method={named('body.3', 'body.66')}"])
    with pytest.raises(UserError, match="teacher has no layer 'body.66'; did you mean body.6"):
        check_layers_of(recipe, recipe.data.input, 10)
    recipe = load_recipe(DIGITS, ["distillation.method=attention_transfer"])
    with pytest.raises(UserError, match="^distillation.*the student has no layer of more than one"):
        check_layers_of(recipe, recipe.data.input, 10)
    between = "distillation.assistants=[{model: {family: mlp}}]"
    recipe = load_recipe(DIGITS, [cnn, between, "distillation.method=attention_transfer"])
    with pytest.raises(UserError, match="^step train_assistant_1: .*the student has no layer of"):
        check_layers_of(recipe, recipe.data.input, 10)
