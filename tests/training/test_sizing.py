"""How the smallest student is found: by bisection, and through the training step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.shared.bundle import read_bundle
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import ImageInput, ModelSpec, StudentSpec, parse_section
from components.training import steps
from components.training.sizing import sizes_of, smallest
from tests.training.labelled_digits import STUDENT, TEACHER, Labelled, digest_of_data, label

WIDE_MOBILENET = {"family": "mobilenet", "channels": [12, 20], "blocks": [1], "stem": 12}
"""At three quarters of the width its channels are rounded up."""
GATES = {"accuracy": {"min": 0.5}, "agreement": {"min": 0.6}}


@given(count=st.integers(1, 100), first=st.integers(0, 100), trials=st.integers(0, 10))
def test_first_size_that_is_enough_is_found_within_the_trials(
    count: int, first: int, trials: int
) -> None:
    """``first`` is the smallest that is enough; with too few trials a larger one is taken."""
    first, tried = min(first, count - 1), []

    def enough(number: int) -> bool:
        tried.append(number)
        return number >= first

    found = smallest(count, enough, trials)
    assert found >= first
    assert found == count - 1 or found in tried
    assert len(tried) == len(set(tried)) <= min(trials, (count - 1).bit_length())
    if trials >= (count - 1).bit_length():
        assert found == first


def test_no_size_is_larger_than_the_model_nor_as_large_as_another_one() -> None:
    """With one convolution there is no second pooling, and what follows is wider."""
    image = ImageInput(kind="image", size=[1, 28, 28])
    numbers = Preprocessing(mean=[0.0], std=[1.0])

    def build(model: ModelSpec) -> Classifier:
        return Classifier.build(model, image, numbers, classes=10)

    for model in ({"family": "cnn", "channels": [4, 8], "hidden": 10}, WIDE_MOBILENET):
        student = parse_section(StudentSpec, {"model": model, "search": {}}, "student")
        every = [build(one).parameter_count for one in student.sizes]
        sizes = sizes_of(student, build)
        counts = [size.parameters for size in sizes]
        assert max(every) > counts[-1]
        assert counts == sorted(set(counts))
        assert sizes[-1].model == student.model
        assert [build(size.model).parameter_count for size in sizes] == counts
        assert set(counts) == {count for count in every if count <= counts[-1]}


def searched(widths: list[float], **search: Any) -> dict[str, Any]:
    model = {"family": "mlp", "hidden": [32.0]}
    training = {**STUDENT["training"], "steps": [100.0, 200.0]}
    return {"model": model, "training": training, "search": {"widths": widths, **search}}


def taught(digits: Path, folder: Path) -> Labelled:
    """Labels of a teacher that can be learned."""
    spec = {**TEACHER, "training": {"steps": 60, "batch_size": 50}}
    steps.train_teacher(digits, digest_of_data(digits), spec, 0, folder / "teacher")
    digest = label(digits, folder / "teacher", folder / "store")
    return Labelled(digits, folder / "store", digest, folder)


def test_student_is_the_smallest_that_is_enough_and_baselines_take_its_network(
    digits: Path, tmp_path: Path
) -> None:
    lesson = taught(digits, tmp_path)
    student = searched([1 / 32, 0.25, 0.5])
    made = lesson.train(student=student, gates=GATES)
    assert made.selection is not None
    size = made.selection.size
    assert size is not None
    assert (size.needed, size.sizes, len(size.tried)) == (0.6, 4, 2)
    tried = {tuple(one.model.hidden): one for one in size.tried}  # type: ignore[union-attr]
    assert tried[8,].enough
    assert not tried[1,].enough
    assert tried[1,].agreement < 0.5
    assert made.model == tried[8,].model
    assert made.parameters == tried[8,].parameters
    for arm in ("hard_label", "pseudo_label"):
        network = {"network_of": tmp_path / "student", "network_of_digest": made.digest}
        baseline = lesson.train(arm, student=student, **network)
        assert baseline.model == made.model
    plain = {**student, "model": {"family": "mlp", "hidden": [8]}, "search": None}
    same = lesson.train(name="same", student=plain)
    assert same.weights_sha256 == made.weights_sha256


def test_largest_is_taken_where_no_smaller_one_is_enough(digits: Path, tmp_path: Path) -> None:
    lesson = taught(digits, tmp_path)
    made = lesson.train(student=searched([1 / 32], agreement=0.98, budget=1))
    assert made.selection is not None
    assert made.selection.size is not None
    assert [one.enough for one in made.selection.size.tried] == [False]
    assert made.model.hidden == [32]  # type: ignore[union-attr]
    assert read_bundle(tmp_path / "student") == made


def test_size_is_found_before_auto_finds_the_method(digits: Path, tmp_path: Path) -> None:
    auto = {"method": "auto", "budget": 300}
    made = taught(digits, tmp_path).train(
        student=searched([0.25, 0.5]), gates=GATES, distillation=auto
    )
    assert made.selection is not None
    assert made.selection.size is not None
    assert made.selection.size.tried[0].enough
    assert made.model == made.selection.size.tried[-1].model
    assert len({one.method[0].kind for one in made.selection.candidates}) > 1


def test_too_few_rows_to_show_what_is_needed_are_refused_before_a_trial(
    labelled: Labelled, refused: Callable[..., str]
) -> None:
    said = refused(labelled.train, student=searched([0.5], agreement=0.999))
    assert said.startswith("student.search: 150 held-out rows cannot show an agreement of 99.90%")


def test_step_that_is_not_told_what_is_enough_or_what_was_found_says_so(
    labelled: Labelled, refused: Callable[..., str]
) -> None:
    student = searched([0.5])
    said = refused(labelled.train, student=student)
    assert "nothing says which size is enough; give the step gates with agreement" in said
    said = refused(labelled.train, student=student, gates={"size": {"max_bytes": 10}})
    assert "nothing says which size is enough" in said
    said = refused(labelled.train, "hard_label", student=student, gates=GATES)
    assert "the hard_label arm takes the network that was found for the student" in said
