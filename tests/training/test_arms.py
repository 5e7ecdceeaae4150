"""What each arm learns from, on digits, and what it does not."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from components.shared.bundle import Candidate
from components.shared.dataset import Dataset
from components.shared.recipe import DistillationSpec, StudentSpec, parse_section
from components.training.arms import Arm, Problem, Trained, standardisation, train_arm
from components.training.selection import hold_out

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
        inputs=inputs,
        labels=torch.from_numpy(rows.labels),
        teacher_logits=torch.from_numpy(logits),
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
    return Problem(**{**problem.__dict__, **fields})


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
    other = changed(digits_problem, teacher_logits=-digits_problem.teacher_logits)
    assert same_weights(plain, train_arm("hard_label", other))


def test_hard_label_arm_sees_labelled_rows_alone(digits_problem: Problem) -> None:
    problem = quick(digits_problem)
    inputs = problem.inputs.clone()
    inputs[problem.labels < 0] = float("nan")
    plain, other = (train_arm("hard_label", p) for p in (problem, changed(problem, inputs=inputs)))
    assert same_weights(plain, other)


def test_pseudo_label_arm_depends_on_the_teachers_argmax_alone(digits_problem: Problem) -> None:
    logits = digits_problem.teacher_logits
    sharper = changed(digits_problem, teacher_logits=logits * 7 + 3)
    plain, scaled = (train_arm("pseudo_label", p) for p in (digits_problem, sharper))
    assert same_weights(plain, scaled)
    assert plain.selection == scaled.selection
    wrong = changed(digits_problem, teacher_logits=logits.roll(1, dims=1))
    assert not same_weights(plain, train_arm("pseudo_label", wrong))


def test_pseudo_label_arm_does_not_read_labels(digits_problem: Problem) -> None:
    problem = quick(digits_problem)
    other = changed(problem, labels=torch.full_like(problem.labels, -1))
    assert same_weights(train_arm("pseudo_label", problem), train_arm("pseudo_label", other))


def test_student_learns_from_more_than_the_argmax(digits_problem: Problem) -> None:
    problem = quick(digits_problem)
    sharper = changed(problem, teacher_logits=problem.teacher_logits * 7)
    assert not same_weights(train_arm("student", problem), train_arm("student", sharper))


@pytest.mark.parametrize(("weight", "reads_labels"), [(0.9, True), (1.0, False)])
def test_student_reads_labels_unless_all_weight_is_on_the_teacher(
    digits_problem: Problem, weight: float, reads_labels: bool
) -> None:
    spec = DistillationSpec(temperature=[2.0], weight=[weight])
    problem = quick(digits_problem, distillation=spec)
    known = problem.labels >= 0
    wrong = torch.where(known, (problem.labels + 1) % 10, problem.labels)
    first, second = (train_arm("student", p) for p in (problem, changed(problem, labels=wrong)))
    assert same_weights(first, second) is not reads_labels


def test_held_out_rows_are_trained_on_in_the_end(digits_problem: Problem) -> None:
    problem = quick(digits_problem)
    rows = len(problem.inputs)
    _, held_out = hold_out(rows, 0.15, torch.Generator().manual_seed(problem.seed))
    logits = problem.teacher_logits.clone()
    logits[held_out[0]] *= 2  # its argmax, by which candidates are judged, stays
    first, second = (
        train_arm("student", p) for p in (problem, changed(problem, teacher_logits=logits))
    )
    assert first.selection == second.selection
    assert not same_weights(first, second)


def test_student_agrees_with_its_teacher(digits_problem: Problem) -> None:
    problem = quick(digits_problem, student=student(steps=200))
    targets = problem.teacher_logits.argmax(1)
    assert accuracy(train_arm("student", problem), problem.inputs, targets) > 0.95


def test_fewer_labels_than_folds_give_a_score_all_the_same(digits_problem: Problem) -> None:
    labels = torch.full_like(digits_problem.labels, -1)
    known = torch.nonzero(digits_problem.labels >= 0).flatten()[:3]
    labels[known] = digits_problem.labels[known]
    problem = changed(digits_problem, labels=labels, student=student(steps=[5, 10]))
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


def test_rows_are_standardised_by_column_or_channel() -> None:
    table = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    found = standardisation(table)
    assert (found.mean, found.std) == ([2.0, 5.0], [1.0, 1.0]), "a constant column is divided by 1"
    images = torch.rand(50, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 255
    found = standardisation(images)
    np.testing.assert_allclose(found.mean, images.numpy().mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found.std, images.numpy().std(axis=(0, 2, 3)), rtol=1e-5)
