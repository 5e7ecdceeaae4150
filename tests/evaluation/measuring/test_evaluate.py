"""The evaluation of real ONNX files on a real data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluation.measuring.evaluate import evaluate
from components.shared.candidates import (
    CANDIDATES,
    CandidateSet,
    read_candidates,
    write_candidates,
)
from components.shared.deployable import DEPLOYABLE, ONNX_FILE
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.recipe import EvaluationSpec
from components.shared.recipe.evaluation import LatencySpec
from components.shared.results import Evaluation

SPEC = EvaluationSpec(latency=LatencySpec(budget_s=0.01, attempts=1))

Make = Callable[..., Path]


@pytest.fixture
def run(
    problem: Any, arms: dict[str, Path], candidates: Path, no_champion: Path
) -> Callable[..., Evaluation]:
    """Evaluates the usual models; what is given replaces one."""

    def run(**given: Any) -> Evaluation:
        usual = {"data": problem.folder, "candidates": candidates, "champion": no_champion}
        used = usual | {name: given.pop(name) for name in list(given) if name in usual}
        return evaluate(used["data"], {**arms, **given}, used["candidates"], used["champion"], SPEC)

    return run


@pytest.fixture(scope="module")
def usual(problem: Any, arms: dict[str, Path], candidates: Path, no_champion: Path) -> Evaluation:
    return evaluate(problem.folder, arms, candidates, no_champion, SPEC)


def test_every_arm_is_measured_on_the_test_rows(
    problem: Any, arms: dict[str, Path], usual: Evaluation
) -> None:
    assert usual.rows == len(problem.labels)
    assert usual.dataset_digest == problem.digest
    assert list(usual.arms) == ["teacher", "student", "hard_label", "pseudo_label"]
    assert set(usual.paired) == {"teacher", "hard_label", "pseudo_label"}
    teacher = usual.arms["teacher"]
    predicted = (problem.inputs @ problem.weights.astype(np.float32)).argmax(axis=1)
    assert teacher.accuracy == pytest.approx(np.mean(predicted == problem.labels))
    assert teacher.accuracy_interval.lower < teacher.accuracy < teacher.accuracy_interval.upper
    assert np.sum(teacher.confusion) == usual.rows
    assert np.trace(teacher.confusion) / usual.rows == pytest.approx(teacher.accuracy)
    assert teacher.model_digest == sha256_file(arms["teacher"] / ONNX_FILE)
    assert teacher.size_bytes == (arms["teacher"] / ONNX_FILE).stat().st_size
    assert teacher.parameters == 12
    assert teacher.latency_ms.threads == 1
    assert teacher.footprint.cold_start_ms > 0
    assert (usual.champion_state, usual.champion_version) == ("first_model", None)


def test_all_metrics_are_there_but_those_of_the_teacher_against_itself(usual: Evaluation) -> None:
    metrics = {
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "auroc",
        "log_loss",
        "calibration_error",
        "agreement",
        "kl_to_teacher",
    }
    assert set(usual.arms["student"].metrics) == metrics
    assert set(usual.arms["teacher"].metrics) == metrics - {"agreement", "kl_to_teacher"}
    for result in usual.arms.values():
        for estimate in result.metrics.values():
            assert estimate.lower < estimate.upper
            assert estimate.lower <= estimate.value <= estimate.upper


def test_float32_student_is_run_once_as_arm_and_as_candidate(usual: Evaluation) -> None:
    (candidate,) = usual.candidates
    assert candidate.name == "float32"
    assert candidate.measured == usual.arms["student"]
    assert candidate.paired == usual.paired


def test_pairs_agree_with_the_accuracies(usual: Evaluation) -> None:
    for arm, pair in usual.paired.items():
        right = {"student": pair.both + pair.only_student, arm: pair.both + pair.only_other}
        for name, count in right.items():
            assert count / usual.rows == pytest.approx(usual.arms[name].accuracy)


def test_candidates_are_measured_in_their_order_and_compared_with_the_arms(
    problem: Any,
    weights: dict[str, np.ndarray],
    run: Callable[..., Evaluation],
    make_candidates: Make,
    make_champion: Make,
    tmp_path: Path,
) -> None:
    forms = {"int8_dynamic": weights["teacher"], "float32": weights["student"]}
    found = run(
        candidates=make_candidates(tmp_path / "forms", forms, problem.digest),
        champion=make_champion(tmp_path / "champion", weights["hard_label"]),
    )
    assert [candidate.name for candidate in found.candidates] == ["int8_dynamic", "float32"]
    small = found.candidates[0]
    assert small.how == "made as int8_dynamic"
    assert small.measured.accuracy == found.arms["teacher"].accuracy
    assert small.measured.metrics["agreement"].value == 1
    assert set(small.paired) == {"teacher", "hard_label", "pseudo_label", "champion"}
    assert small.paired["teacher"].discordance == 0
    assert small.paired["champion"] == small.paired["hard_label"]
    assert small.paired["champion"] != found.candidates[1].paired["champion"]


def test_broken_candidate_is_skipped_with_its_reason(
    problem: Any,
    weights: dict[str, np.ndarray],
    run: Callable[..., Evaluation],
    make_candidates: Make,
    tmp_path: Path,
) -> None:
    nan = weights["student"].copy()
    nan[0, 0] = np.nan
    forms = {"float32": weights["student"], "float16": nan, "int8_dynamic": weights["teacher"]}
    folder = make_candidates(tmp_path / "forms", forms, problem.digest)
    (folder / "int8_dynamic" / ONNX_FILE).write_bytes(b"something else")
    found = run(candidates=folder)
    assert [candidate.name for candidate in found.candidates] == ["float32"]
    reasons = {skipped.name: skipped.reason for skipped in found.skipped}
    assert "NaN or infinity for test row 'row-0'" in reasons["float16"]
    assert "SHA-256 differs" in reasons["int8_dynamic"]


def test_broken_float32_student_ends_the_evaluation(
    problem: Any,
    weights: dict[str, np.ndarray],
    run: Callable[..., Evaluation],
    make_candidates: Make,
    tmp_path: Path,
) -> None:
    nan = weights["student"].copy()
    nan[0, 0] = np.nan
    folder = make_candidates(tmp_path / "forms", {"float32": nan}, problem.digest)
    with pytest.raises(UserError, match="the student gives NaN or infinity for test row 'row-0'"):
        run(candidates=folder)


def test_champion_of_another_data_set_is_compared_on_the_same_rows(
    problem: Any, run: Callable[..., Evaluation], make_champion: Make, tmp_path: Path
) -> None:
    found = run(champion=make_champion(tmp_path / "champion", problem.weights))
    assert found.arms["champion"].accuracy == found.arms["teacher"].accuracy
    assert found.paired["champion"] == found.paired["teacher"]
    assert (found.champion_state, found.champion_version) == ("present", "7")
    assert found.champion_dataset_digest == "c" * 64


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"classes": ["bee", "ant", "cat"]}, "its classes are bee, ant, cat"),
        ({"columns": ["b", "a", "c", "d"]}, "it takes the columns b, a, c, d"),
    ],
)
def test_champion_that_does_not_fit_is_refused_with_advice(
    problem: Any,
    run: Callable[..., Evaluation],
    make_champion: Make,
    tmp_path: Path,
    difference: dict[str, Any],
    message: str,
) -> None:
    champion = make_champion(tmp_path / "champion", problem.weights, **difference)
    with pytest.raises(UserError, match=rf"the champion .*{message}.*registry\.model"):
        run(champion=champion)


def test_student_of_another_data_set_is_refused(
    problem: Any, run: Callable[..., Evaluation], make_candidates: Make, tmp_path: Path
) -> None:
    folder = make_candidates(tmp_path / "forms", {"float32": problem.weights}, "c" * 64)
    with pytest.raises(UserError, match=r"the student .* was trained on the data set cccccccccccc"):
        run(candidates=folder)


def test_nan_is_refused_with_arm_and_row(
    problem: Any, run: Callable[..., Evaluation], make_model: Make, tmp_path: Path
) -> None:
    weights = problem.weights.copy()
    weights[0, 0] = np.nan
    broken = make_model(tmp_path / "broken", weights, dataset_digest=problem.digest)
    with pytest.raises(
        UserError, match="the hard_label gives NaN or infinity for test row 'row-0'"
    ):
        run(hard_label=broken)


def test_logits_are_not_taken_for_probabilities(
    problem: Any, run: Callable[..., Evaluation], make_model: Make, tmp_path: Path
) -> None:
    logits = make_model(
        tmp_path / "logits", problem.weights, dataset_digest=problem.digest, softmax=False
    )
    with pytest.raises(UserError, match="the teacher gives no probabilities for test row 'row-0'"):
        run(teacher=logits)


def test_negative_probability_is_refused_though_they_sum_to_one(
    problem: Any, run: Callable[..., Evaluation], make_model: Make, tmp_path: Path
) -> None:
    stretched = make_model(
        tmp_path / "m", problem.weights, dataset_digest=problem.digest, scale=3, shift=-2 / 3
    )
    with pytest.raises(UserError, match=r"the teacher gives no .* sum to 1 and the least is -0\."):
        run(teacher=stretched)


def test_compressed_forms_may_sum_to_one_less_exactly(
    problem: Any,
    weights: dict[str, np.ndarray],
    run: Callable[..., Evaluation],
    make_model: Make,
    make_candidates: Make,
    make_champion: Make,
    tmp_path: Path,
) -> None:
    folder = make_candidates(tmp_path / "forms", {"float32": weights["student"]}, problem.digest)
    scales = {"int8_dynamic": 1.01, "int8_static": 1.03}
    for name, scale in scales.items():
        make_model(folder / name, weights["student"], dataset_digest=problem.digest, scale=scale)
    (reference,) = read_candidates(folder).candidates
    forms = [reference.model_copy(update={"name": name}) for name in scales]
    write_candidates(folder, CandidateSet(candidates=[reference, *forms], skipped=[]))
    champion = make_champion(tmp_path / "champion", weights["student"], scale=1.01)

    found = run(candidates=folder, champion=champion)
    assert [one.name for one in found.candidates] == ["float32", "int8_dynamic"]
    assert [one.name for one in found.skipped] == ["int8_static"]
    assert "champion" in found.arms
    teacher = make_model(
        tmp_path / "teacher", weights["teacher"], dataset_digest=problem.digest, scale=1.01
    )
    with pytest.raises(UserError, match="the teacher gives no probabilities"):
        run(teacher=teacher)


def test_fewer_outputs_than_classes_are_refused(
    problem: Any, run: Callable[..., Evaluation], make_model: Make, tmp_path: Path
) -> None:
    narrow = make_model(tmp_path / "m", problem.weights[:, :2], dataset_digest=problem.digest)
    with pytest.raises(UserError, match=r"output of shape \(240, 2\), not \(240, 3\)"):
        run(teacher=narrow)


def test_changed_file_is_refused(
    problem: Any, run: Callable[..., Evaluation], make_model: Make, tmp_path: Path
) -> None:
    teacher = make_model(tmp_path / "teacher", problem.weights, dataset_digest=problem.digest)
    (teacher / ONNX_FILE).write_bytes(b"something else")
    with pytest.raises(UserError, match="SHA-256 differs"):
        run(teacher=teacher)


def test_file_that_is_not_onnx_is_refused(
    problem: Any, run: Callable[..., Evaluation], make_model: Make, tmp_path: Path
) -> None:
    teacher = make_model(tmp_path / "teacher", problem.weights, dataset_digest=problem.digest)
    description = (teacher / DEPLOYABLE).read_text()
    before = sha256_file(teacher / ONNX_FILE)
    (teacher / ONNX_FILE).write_bytes(b"something else")
    after = sha256_file(teacher / ONNX_FILE)
    (teacher / DEPLOYABLE).write_text(description.replace(before, after))
    with pytest.raises(UserError, match="the teacher: ONNX Runtime cannot load"):
        run(teacher=teacher)


def test_missing_candidate_set_is_refused(run: Callable[..., Evaluation], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{CANDIDATES}: the candidate set cannot be read"):
        run(candidates=tmp_path)


def test_test_row_without_a_label_is_refused(
    make_problem: Callable[..., Any],
    make_model: Make,
    make_candidates: Make,
    no_champion: Path,
    tmp_path: Path,
) -> None:
    data = make_problem(tmp_path / "data", test_rows=20, hidden_label=4)
    model = make_model(tmp_path / "model", data.weights, dataset_digest=data.digest)
    arms = dict.fromkeys(("teacher", "hard_label", "pseudo_label"), model)
    forms = make_candidates(tmp_path / "forms", {"float32": data.weights}, data.digest)
    with pytest.raises(UserError, match=r"test row 'row-4' has no label"):
        evaluate(data.folder, arms, forms, no_champion, SPEC)


def test_empty_test_split_is_refused(
    run: Callable[..., Evaluation], make_problem: Callable[..., Any], tmp_path: Path
) -> None:
    data = make_problem(tmp_path / "data", test_rows=0)
    with pytest.raises(UserError, match="the test split has no rows"):
        run(data=data.folder)
