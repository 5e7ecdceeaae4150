"""The compression step on data sets, stores and bundles on disk."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from components.compression.steps import compress
from components.shared.candidates import CandidateSet, read_candidates
from components.shared.dataset import Dataset
from components.shared.deployable import ONNX_FILE, read_deployable
from components.shared.events import parse_event
from tests.compression.conftest import STUDENT_SPEC, Inputs, case_of

ARMS = ("teacher", "hard_label", "pseudo_label")
Make = Callable[..., Inputs]


def run(inputs: Inputs, output: Path, candidates: list[Any], seed: int = 0) -> CandidateSet:
    return compress(
        inputs.dataset,
        inputs.dataset_digest,
        (inputs.store, inputs.store_digest),
        (inputs.store, inputs.store_digest),
        inputs.bundles,
        STUDENT_SPEC,
        {"candidates": candidates},
        seed,
        output / "candidates",
        {arm: output / arm for arm in ARMS},
    )


def last_error(captured: str) -> str:
    events = [event for line in captured.splitlines() if (event := parse_event(line))]
    assert events[-1]["event"] == "error"
    return str(events[-1]["message"])


def test_step_writes_every_candidate_in_the_order_of_the_recipe(
    tmp_path: Path, make_inputs: Make
) -> None:
    inputs = make_inputs()
    # As KFP hands it over: whole numbers are floats.
    pruned = {"kind": "pruned", "sparsity": 0.25, "steps": 10.0}
    made = run(inputs, tmp_path / "out", ["int8_static", pruned, "float32"])
    names = ["int8_static", "pruned_channels_25", "float32"]
    assert [candidate.name for candidate in made.candidates] == names
    assert made.skipped == []
    folder = tmp_path / "out" / "candidates"
    assert read_candidates(folder) == made
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "candidates.json"])
    for name in names:
        deployable = read_deployable(folder / name)
        assert (deployable.role, deployable.checked_rows) == ("student", 400)
        assert deployable.bundle_digest == inputs.bundles["student"][1]
        assert deployable.teacher_digest == inputs.bundles["teacher"][1]
    assert (
        made.candidates[0].how == "int8 weights and activations, minmax ranges of 400 training rows"
    )


def test_reference_is_written_without_being_a_candidate(tmp_path: Path, make_inputs: Make) -> None:
    made = run(make_inputs(), tmp_path / "out", ["int8_dynamic"])
    assert [candidate.name for candidate in made.candidates] == ["int8_dynamic"]
    assert read_deployable(tmp_path / "out" / "candidates" / "float32").max_difference < 1e-4


def test_other_arms_are_exported_with_the_teacher_they_learned_from(
    tmp_path: Path, make_inputs: Make
) -> None:
    inputs = make_inputs()
    run(inputs, tmp_path / "out", ["float32"])
    teacher_digest = inputs.bundles["teacher"][1]
    found = {arm: read_deployable(tmp_path / "out" / arm) for arm in ARMS}
    assert [found[arm].role for arm in ARMS] == list(ARMS)
    assert [found[arm].teacher_digest for arm in ARMS] == [None, teacher_digest, teacher_digest]


def test_form_that_cannot_be_made_is_skipped_with_its_reason(
    tmp_path: Path, make_inputs: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    pruned = {"kind": "pruned", "steps": 10, "learning_rate": 1e30}
    made = run(make_inputs(), tmp_path / "out", [pruned, "float32"])
    assert [candidate.name for candidate in made.candidates] == ["float32"]
    (skipped,) = made.skipped
    assert skipped.name == "pruned_channels_50"
    assert "diverged" in skipped.reason
    assert not (tmp_path / "out" / "candidates" / skipped.name).exists()
    events = [
        event for line in capsys.readouterr().out.splitlines() if (event := parse_event(line))
    ]
    kinds = [(event["event"], event.get("candidate")) for event in events]
    assert ("skipped", "pruned_channels_50") in kinds
    assert ("compressed", "float32") in kinds


def test_student_that_cannot_be_exported_is_the_users_error_and_leaves_nothing(
    tmp_path: Path, make_inputs: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    network = copy.deepcopy(case_of("mlp").network)
    with torch.no_grad():
        network.body[1].weight[0, 0] = torch.inf  # type: ignore[index,union-attr]
    with pytest.raises(SystemExit) as exit_status:
        run(make_inputs(student=network), tmp_path / "out", ["float32"])
    assert exit_status.value.code == 2
    assert "the ONNX file of student cannot be used: it differs" in last_error(
        capsys.readouterr().out
    )
    assert not (tmp_path / "out" / "candidates").exists()


def test_training_row_without_soft_label_is_the_users_error(
    tmp_path: Path, make_inputs: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = make_inputs(leave_out="digits-00001")
    with pytest.raises(SystemExit) as exit_status:
        run(inputs, tmp_path / "out", [{"kind": "int8_qat", "steps": 5}])
    assert exit_status.value.code == 2
    assert "no label for row 'digits-00001'" in last_error(capsys.readouterr().out)
    assert not (tmp_path / "out" / "candidates").exists()


def test_soft_labels_are_not_read_where_nothing_learns_on(
    tmp_path: Path, make_inputs: Make
) -> None:
    inputs = make_inputs()
    (inputs.store / "manifest.json").unlink()
    made = run(inputs, tmp_path / "out", ["float32", "int8_dynamic"])
    assert len(made.candidates) == 2


def test_test_rows_play_no_part(tmp_path: Path, make_inputs: Make) -> None:
    candidates = ["int8_static", {"kind": "int8_qat", "steps": 5}]
    written = []
    for pixel in (0.0, 1e6):
        inputs = make_inputs(test_pixel=pixel)
        assert Dataset.open(inputs.dataset).load("test").inputs.max() == max(pixel, 16)
        folder = tmp_path / f"out-{pixel}"
        run(inputs, folder, candidates)
        names = ("int8_static", "int8_qat")
        written.append([(folder / "candidates" / name / ONNX_FILE).read_bytes() for name in names])
    assert written[0] == written[1]


def test_same_inputs_give_the_same_files(tmp_path: Path, make_inputs: Make) -> None:
    inputs = make_inputs()
    candidates = ["float16", "int8_static", {"kind": "pruned", "steps": 5, "precision": "int8"}]
    for name in ("first", "second"):
        run(inputs, tmp_path / name, candidates)
    first, second = (
        {
            str(p.relative_to(tmp_path / name)): p.read_bytes()
            for p in (tmp_path / name).rglob("*.*")
        }
        for name in ("first", "second")
    )
    assert first == second
    assert len(first) == 3 * (3 + 4) + 1


def test_seed_decides_what_is_learned_on(tmp_path: Path, make_inputs: Make) -> None:
    inputs = make_inputs()
    candidates = [{"kind": "pruned", "steps": 5, "sparsity": 0.25}]
    files = []
    for seed in (0, 1):
        run(inputs, tmp_path / str(seed), candidates, seed)
        path = tmp_path / str(seed) / "candidates" / "pruned_channels_25" / ONNX_FILE
        files.append(path.read_bytes())
    assert files[0] != files[1]


def test_mistake_in_the_section_names_the_field(
    tmp_path: Path, make_inputs: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        run(make_inputs(), tmp_path / "out", [{"kind": "pruned", "sparsity": 1.5}])
    assert exit_status.value.code == 2
    assert "compression.candidates" in last_error(capsys.readouterr().out)
