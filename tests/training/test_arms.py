"""What each arm learns from, on digits, and what it does not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from components.shared.bundle import Candidate
from components.shared.dataset import Dataset
from components.shared.recipe import DistillationSpec, StudentSpec, parse_section
from components.shared.training.rows import MemoryRows
from components.shared.training.statistics import standardisation
from components.training.arms import Trained, train_arm
from components.training.problem import Arm, Problem
from components.training.selection import hold_out
from components.training.sizing import find_size

ARMS: tuple[Arm, ...] = ("student", "pseudo_label", "hard_label")


@pytest.fixture(scope="module", autouse=True)
def _repeatable() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def digits_problem(digits: Any) -> Problem:
    """The digits with 100 labels, and logits of a teacher that is right and not too sure."""
    data = Dataset.open(digits)
    rows = data.load("labelled", "unlabelled")
    inputs = torch.from_numpy(rows.inputs)
    truth = load_digits().target[[int(name.rsplit("-", 1)[1]) for name in rows.ids]]
    logits = np.random.default_rng(0).normal(size=(len(rows), 10)).astype(np.float32)
    logits[np.arange(len(rows)), truth] += 4
    return Problem(
        student=student(steps=[20, 40]),
        distillation=DistillationSpec(temperature=[2.0, 1.0], weight=[0.9, 1.0]),
        input=data.manifest.input,
        preprocessing=standardisation(inputs),
        rows=MemoryRows(
            inputs,
            torch.from_numpy(rows.labels),
            (torch.from_numpy(logits),),
            torch.from_numpy(rows.positions),
        ),
        classes=10,
        seed=0,
    )


def student(**training: Any) -> StudentSpec:
    section = {
        "model": {"family": "mlp", "hidden": [16]},
        "training": {"batch_size": 250, "learning_rate": 0.01, **training},
    }
    return parse_section(StudentSpec, section, "student")


def changed(problem: Problem, **fields: Any) -> Problem:
    """The problem with other fields, or other fields of its rows."""
    known = {name: fields.pop(name) for name in ("inputs", "targets") if name in fields}
    if "teacher_logits" in fields:
        known["teacher_logits"] = (fields.pop("teacher_logits"),)
    return replace(problem, rows=replace(memory(problem), **known), **fields)


def memory(problem: Problem) -> MemoryRows:
    assert isinstance(problem.rows, MemoryRows)
    return problem.rows


def quick(problem: Problem, **fields: Any) -> Problem:
    """The same problem with one candidate."""
    single = DistillationSpec(temperature=[2.0], weight=[0.9])
    return changed(problem, **{"student": student(steps=20), "distillation": single, **fields})


def same_weights(first: Trained, second: Trained) -> bool:
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def settings(candidate: Candidate) -> tuple[int, float | None, float | None]:
    return candidate.steps, candidate.temperature, candidate.weight


def accuracy(trained: Trained, inputs: Tensor, targets: Tensor) -> float:
    with torch.inference_mode():
        return float((trained.network(inputs).argmax(1) == targets).float().mean())


@pytest.mark.parametrize("arm", ["pseudo_label", "hard_label"])
def test_baselines_try_each_length_shorter_first(digits_problem: Problem, arm: Arm) -> None:
    trained = train_arm(arm, changed(digits_problem, student=student(steps=[40, 20])))
    found = [settings(candidate) for candidate in trained.selection.candidates]
    assert found == [(20, None, None), (40, None, None)]


def test_student_tries_shorter_training_first_then_the_recipes_order(
    digits_problem: Problem,
) -> None:
    trained = train_arm("student", changed(digits_problem, student=student(steps=[40, 20])))
    found = [settings(candidate) for candidate in trained.selection.candidates]
    assert found == [
        (steps, temperature, weight)
        for steps in (20, 40)
        for temperature in (2.0, 1.0)
        for weight in (0.9, 1.0)
    ]


@pytest.mark.parametrize("arm", ARMS)
def test_the_chosen_candidate_is_the_one_that_is_trained(digits_problem: Problem, arm: Arm) -> None:
    selection, curve = (trained := train_arm(arm, digits_problem)).selection, trained.curve
    assert curve[-1].step == selection.candidates[selection.chosen].steps
    alone = selection.candidates[selection.chosen]
    single = changed(
        digits_problem,
        student=student(steps=alone.steps),
        distillation=DistillationSpec(
            temperature=[alone.temperature or 1.0], weight=[alone.weight or 1.0]
        ),
    )
    assert same_weights(trained, train_arm(arm, single))


@pytest.mark.parametrize("arm", ARMS)
def test_scores_are_shares_and_better_than_chance(digits_problem: Problem, arm: Arm) -> None:
    for candidate in train_arm(arm, digits_problem).selection.candidates:
        assert 0.2 < candidate.score <= 1
        assert 0 < candidate.standard_error < 0.1


@pytest.mark.parametrize("arm", ["student", "pseudo_label"])
def test_candidates_say_how_they_follow_the_teacher_on_rows_that_they_were_fitted_on(
    digits_problem: Problem, arm: Arm
) -> None:
    problem = changed(digits_problem, student=student(steps=[20, 40]))
    problem = changed(problem, distillation=DistillationSpec(temperature=[2.0], weight=[0.9]))
    selection = train_arm(arm, problem).selection
    fitted, held_out = hold_out(1000, 0.15, torch.Generator().manual_seed(0))
    assert (selection.held_out, selection.fitted) == (len(held_out), len(held_out)) == (150, 150)
    again = train_arm(arm, quick(problem.on(problem.rows.part(fitted))))
    for rows, share in (
        (held_out, selection.candidates[0].score),
        (fitted[:150], selection.candidates[0].fitted),
    ):
        targets = memory(problem).teacher_logits[0][rows].argmax(1)
        inputs = memory(problem).inputs[rows]
        assert share == pytest.approx(accuracy(again, inputs, targets))
    for one in selection.candidates:
        assert one.score is not None
        lead = one.score - (selection.candidates[selection.chosen].score or 0)
        assert one.ahead - one.behind == round(150 * lead)
    chosen = selection.candidates[selection.chosen]
    assert (chosen.ahead, chosen.behind) == (0, 0)
    assert sum(one.ahead + one.behind for one in selection.candidates) > 0


def test_a_trained_student_says_how_it_follows_the_teacher_where_it_learned(
    digits_problem: Problem,
) -> None:
    trained = train_arm("student", quick(digits_problem))
    rows = memory(digits_problem)
    with torch.inference_mode():
        given = trained.network(rows.inputs).argmax(1)
    logits = rows.teacher_logits[0].double().numpy()
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    confidence = 1 / odds.sum(axis=1)
    assert trained.fit is not None
    for found, kind in (
        (trained.fit.labelled, rows.targets >= 0),
        (trained.fit.unlabelled, rows.targets < 0),
    ):
        assert found is not None
        assert found.rows == int(kind.sum())
        assert found.agreeing == int((given == rows.teacher_logits[0].argmax(1))[kind].sum())
        assert found.confidence == pytest.approx(confidence[kind.numpy()].mean())
    assert train_arm("hard_label", quick(digits_problem)).fit is None
    assert {one.fitted for one in train_arm("hard_label", digits_problem).selection.candidates} == {
        None
    }


def test_judges_are_named_with_their_rows(digits_problem: Problem) -> None:
    problem = changed(digits_problem, student=student(steps=[5, 10]))
    judge = train_arm("student", problem).selection.judge
    assert "agreement with the teacher on 150 held-out training rows" in judge
    judge = train_arm("hard_label", problem).selection.judge
    assert "accuracy on 100 labelled rows, 5-fold cross-validation" in judge


@pytest.mark.parametrize("arm", ARMS)
def test_same_seed_gives_the_same_weights_bit_for_bit(digits_problem: Problem, arm: Arm) -> None:
    first, again = (train_arm(arm, quick(digits_problem)) for _ in range(2))
    assert same_weights(first, again)
    assert first.selection == again.selection
    assert first.curve == again.curve
    assert not same_weights(first, train_arm(arm, quick(digits_problem, seed=1)))


def test_all_arms_start_from_the_same_weights(digits_problem: Problem) -> None:
    still = student(steps=1, learning_rate=1e-30, weight_decay=0)
    first, *others = (train_arm(arm, quick(digits_problem, student=still)) for arm in ARMS)
    assert all(same_weights(first, other) for other in others)


def test_hard_label_arm_learns_nothing_from_the_teacher(digits_problem: Problem) -> None:
    plain = train_arm("hard_label", digits_problem)
    other = changed(digits_problem, teacher_logits=-memory(digits_problem).teacher_logits[0])
    assert same_weights(plain, train_arm("hard_label", other))


def test_hard_label_arm_sees_labelled_rows_alone(digits_problem: Problem) -> None:
    problem = quick(digits_problem)
    inputs = memory(problem).inputs.clone()
    inputs[memory(problem).targets < 0] = float("nan")
    plain, other = (train_arm("hard_label", p) for p in (problem, changed(problem, inputs=inputs)))
    assert same_weights(plain, other)


def test_pseudo_label_arm_depends_on_the_teachers_argmax_alone(digits_problem: Problem) -> None:
    logits = memory(digits_problem).teacher_logits[0]
    sharper = changed(digits_problem, teacher_logits=logits * 7 + 3)
    plain, scaled = (train_arm("pseudo_label", p) for p in (digits_problem, sharper))
    assert same_weights(plain, scaled)
    assert plain.selection == scaled.selection
    wrong = changed(digits_problem, teacher_logits=logits.roll(1, dims=1))
    assert not same_weights(plain, train_arm("pseudo_label", wrong))


def test_pseudo_label_arm_does_not_read_labels(digits_problem: Problem) -> None:
    problem = quick(digits_problem)
    other = changed(problem, targets=torch.full_like(memory(problem).targets, -1))
    assert same_weights(train_arm("pseudo_label", problem), train_arm("pseudo_label", other))


def test_student_learns_from_more_than_the_argmax(digits_problem: Problem) -> None:
    problem = quick(digits_problem)
    sharper = changed(problem, teacher_logits=memory(problem).teacher_logits[0] * 7)
    assert not same_weights(train_arm("student", problem), train_arm("student", sharper))


@pytest.mark.parametrize(("weight", "reads_labels"), [(0.9, True), (1.0, False)])
def test_student_reads_labels_unless_all_weight_is_on_the_teacher(
    digits_problem: Problem, weight: float, reads_labels: bool
) -> None:
    spec = DistillationSpec(temperature=[2.0], weight=[weight])
    problem = quick(digits_problem, distillation=spec)
    known = memory(problem).targets >= 0
    wrong = torch.where(known, (memory(problem).targets + 1) % 10, memory(problem).targets)
    first, second = (train_arm("student", p) for p in (problem, changed(problem, targets=wrong)))
    assert same_weights(first, second) is not reads_labels


def test_held_out_rows_are_trained_on_in_the_end(digits_problem: Problem) -> None:
    problem = quick(digits_problem)
    rows = len(memory(problem).inputs)
    _, held_out = hold_out(rows, 0.15, torch.Generator().manual_seed(problem.seed))
    logits = memory(problem).teacher_logits[0].clone()
    logits[held_out[0]] *= 2  # its argmax, by which candidates are judged, stays
    first, second = (
        train_arm("student", p) for p in (problem, changed(problem, teacher_logits=logits))
    )
    assert first.selection == second.selection
    assert not same_weights(first, second)


def test_student_agrees_with_its_teacher(digits_problem: Problem) -> None:
    problem = quick(digits_problem, student=student(steps=200))
    targets = memory(problem).teacher_logits[0].argmax(1)
    assert accuracy(train_arm("student", problem), memory(problem).inputs, targets) > 0.95


def test_fewer_labels_than_folds_give_a_score_all_the_same(digits_problem: Problem) -> None:
    labels = torch.full_like(memory(digits_problem).targets, -1)
    known = torch.nonzero(memory(digits_problem).targets >= 0).flatten()[:3]
    labels[known] = memory(digits_problem).targets[known]
    problem = changed(digits_problem, targets=labels, student=student(steps=[5, 10]))
    for candidate in train_arm("hard_label", problem).selection.candidates:
        assert 0 <= candidate.score <= 1


@pytest.mark.parametrize("arm", ARMS)
def test_one_candidate_is_trained_once_and_judged_by_nothing(
    digits_problem: Problem, arm: Arm, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = train_arm(arm, quick(digits_problem))
    (candidate,) = trained.selection.candidates
    assert (trained.selection.chosen, candidate.score) == (0, None)
    assert "fold" not in capsys.readouterr().out


def test_auto_tries_methods_and_lengths_and_trains_what_it_chose(digits_problem: Problem) -> None:
    auto = DistillationSpec(method="auto", budget=400)
    problem = changed(digits_problem, student=student(steps=[40, 80]), distillation=auto)
    trained = train_arm("student", problem)
    found = trained.selection
    assert {one.method[0].kind for one in found.candidates} == {"dist", "kd", "pseudo_label"}
    assert [one.steps for one in found.candidates] == [10] * 4 + [40] * 2 + [80]
    assert "agreement with the teacher on 300 held-out training rows" in found.judge
    chosen = found.candidates[found.chosen]
    alone = DistillationSpec(
        method=chosen.method,
        temperature=[chosen.temperature or 1.0],
        weight=[chosen.weight],
    )
    single = changed(problem, student=student(steps=chosen.steps), distillation=alone)
    assert same_weights(trained, train_arm("student", single))
    again = train_arm("student", problem)
    assert same_weights(trained, again)
    assert again.selection == found


def test_auto_without_a_budget_trains_what_it_prefers(digits_problem: Problem) -> None:
    auto = DistillationSpec(method="auto", budget=1)
    problem = changed(digits_problem, student=student(steps=[40, 80]), distillation=auto)
    (candidate,) = train_arm("student", problem).selection.candidates
    assert (candidate.steps, candidate.method[0].kind, candidate.score) == (40, "dist", None)


def test_a_method_that_diverges_is_not_chosen(digits_problem: Problem) -> None:
    auto = DistillationSpec(method="auto", budget=300)
    logits = memory(digits_problem).teacher_logits[0].clone()
    logits[:, 0] = float("-inf")  # which a correlation takes, and a divergence does not
    problem = changed(
        digits_problem,
        student=student(steps=[40]),
        distillation=auto,
        teacher_logits=logits,
    )
    found = train_arm("student", problem).selection
    scores = {one.method[0].kind: one.score for one in found.candidates}
    assert scores["kd"] == 0
    assert found.candidates[found.chosen].method[0].kind != "kd"


def test_size_that_diverges_is_not_enough(digits_problem: Problem) -> None:
    search = {"widths": [0.5], "depths": [1], "agreement": 0.5}
    section = {
        "model": {"family": "mlp", "hidden": [32]},
        "training": {"steps": [20], "batch_size": 250, "learning_rate": 1e30},
        "search": search,
    }
    spec = parse_section(StudentSpec, section, "student")
    problem, size = find_size(replace(digits_problem, student=spec))
    assert size is not None
    assert [(one.agreement, one.enough) for one in size.tried] == [(0.0, False)]
    assert problem.student.model == spec.model
