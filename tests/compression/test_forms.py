"""Every kind of candidate, for every family of students."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from pydantic import TypeAdapter

from components.compression.deploying import FormNotMade, write_deployable
from components.compression.forms import Student, make_form
from components.compression.recovery import loss_of
from components.shared.deployable import ONNX_FILE, read_example
from components.shared.errors import UserError
from components.shared.recipe import CandidateSpec
from tests.compression.conftest import LOSS, Case, case_of

CANDIDATES: list[Any] = [
    "float32",
    "float16",
    "int8_dynamic",
    {"kind": "int8_static", "rows": 100},
    {"kind": "int8_static", "rows": 100, "ranges": "percentile"},
    {"kind": "int8_qat", "steps": 5, "rows": 100},
    {"kind": "pruned", "sparsity": 0.25, "steps": 30},
    {"kind": "pruned", "sparsity": 0.25, "steps": 30, "precision": "int8"},
    {"kind": "pruned", "structure": "2:4", "steps": 30},
    {"kind": "pruned", "structure": "unstructured", "sparsity": 0.3, "steps": 20},
]


def spec_of(value: Any) -> CandidateSpec:
    return TypeAdapter(CandidateSpec).validate_python(value)


def write(folder: Path, value: Any, case: Case, student: Student | None = None) -> Any:
    make = partial(make_form, spec_of(value), student or case.student())
    return write_deployable(folder, make, case.bundle, case.rows, None)


@pytest.mark.parametrize("value", CANDIDATES, ids=str)
def test_every_form_takes_raw_rows_and_gives_probabilities(
    tmp_path: Path, case: Case, value: Any
) -> None:
    deployable, form, fidelity = write(tmp_path / "out", value, case)
    session = ort.InferenceSession(str(tmp_path / "out" / ONNX_FILE))
    (given,), (taken,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type) == ("input", "tensor(float)")
    assert (taken.name, taken.type) == ("probabilities", "tensor(float)")
    for count in (1, 7, 400):
        (found,) = session.run(None, {"input": case.rows[:count]})
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
        assert found.shape == (count, 10)
    right = (found.argmax(axis=1) == case.labels).mean()
    assert right > 0.8
    expected = form.network(torch.from_numpy(case.rows)).softmax(dim=1).detach().numpy()
    agreement = (found.argmax(axis=1) == expected.argmax(axis=1)).mean()
    assert fidelity.agreement == agreement > 0.95
    assert deployable.parameters <= case.network.parameter_count
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        "deployable.json",
        "example.npy",
        "model.onnx",
    ]
    np.testing.assert_array_equal(read_example(tmp_path / "out"), case.rows[:1])


@pytest.mark.parametrize("value", ["int8_static", {"kind": "int8_qat", "steps": 3}], ids=str)
def test_int8_student_is_a_smaller_file(tmp_path: Path, case: Case, value: Any) -> None:
    write(tmp_path / "float32", "float32", case)
    write(tmp_path / "int8", value, case)
    whole, small = ((tmp_path / name / ONNX_FILE).stat().st_size for name in ("float32", "int8"))
    assert small < 0.75 * whole


def test_pruned_channels_make_a_smaller_file_of_the_parameters_left(
    tmp_path: Path, case: Case
) -> None:
    write(tmp_path / "float32", "float32", case)
    deployable, form, _ = write(tmp_path / "pruned", {"kind": "pruned", "steps": 30}, case)
    whole, small = ((tmp_path / name / ONNX_FILE).stat().st_size for name in ("float32", "pruned"))
    assert small < 0.75 * whole
    assert deployable.parameters == form.network.parameter_count
    assert f"{deployable.parameters:,} of {case.network.parameter_count:,}" in form.how


def test_zeroed_weights_do_not_count_as_parameters(tmp_path: Path) -> None:
    case = case_of("mlp")
    deployable, _, _ = write(
        tmp_path / "out", {"kind": "pruned", "structure": "2:4", "steps": 5}, case
    )
    assert deployable.parameters == 64 * 16 // 2 + 16 * 10 // 2 + 16 + 10


@pytest.mark.parametrize("value", CANDIDATES, ids=str)
def test_same_seed_gives_the_same_bytes(tmp_path: Path, value: Any) -> None:
    case = case_of("cnn")
    torch.use_deterministic_algorithms(True)
    files = []
    for name in ("first", "second"):
        torch.rand(7)  # the global generator is wherever it is
        write(tmp_path / name, value, case)
        files.append((tmp_path / name / ONNX_FILE).read_bytes())
    assert files[0] == files[1]


def test_student_that_is_not_distilled_cannot_learn_on() -> None:
    bundle = case_of("mlp").bundle.model_copy(update={"selection": None, "role": "hard_label"})
    with pytest.raises(UserError, match="bundle of hard_label does not name method"):
        loss_of(bundle)
    assert loss_of(case_of("mlp").bundle) == LOSS, "a record that names no method is of KD"


def test_learning_on_closes_the_gap_to_the_teacher(tmp_path: Path) -> None:
    case = case_of("cnn")
    shares = []
    for steps in (1, 60):
        value = {"kind": "pruned", "sparsity": 0.75, "steps": steps}
        _, form, _ = write(tmp_path / str(steps), value, case)
        shares.append(case.accuracy(form.network))
    assert shares[1] > shares[0] + 0.1


@pytest.mark.parametrize("kind", ["pruned", "int8_qat"])
def test_recovery_that_diverges_is_a_form_that_is_not_made(tmp_path: Path, kind: str) -> None:
    value = {"kind": kind, "steps": 20, "learning_rate": 1e30}
    with pytest.raises(FormNotMade, match=r"diverged: .* candidate's learning_rate below 1e"):
        write(tmp_path / "out", value, case_of("mlp"))


def test_student_beyond_the_range_of_float16_is_not_made_as_float16(tmp_path: Path) -> None:
    case = case_of("cnn")
    network = copy.deepcopy(case.network)
    first, last = (part for part in network.body if isinstance(part, torch.nn.Linear))
    with torch.no_grad():
        first.weight[1:] *= 1e9
        first.bias[1:] *= 1e9
        last.weight[:, 1:] /= 1e9
    student = Student(network, case.rows, 0, case.recovery)
    assert write(tmp_path / "float32", "float32", case, student)[2].agreement == 1
    with pytest.raises(FormNotMade, match="not finite|agrees with the torch model on"):
        write(tmp_path / "float16", "float16", case, student)
    assert not (tmp_path / "float16").exists()


def test_pruning_that_would_remove_nothing_is_a_form_that_is_not_made(tmp_path: Path) -> None:
    value = {"kind": "pruned", "sparsity": 0.01, "steps": 1}
    with pytest.raises(FormNotMade, match="no layer has a channel to lose"):
        write(tmp_path / "out", value, case_of("mlp"))
