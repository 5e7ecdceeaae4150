"""Batches that are too large for the memory there is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from components.shared.bundle import load_network
from components.shared.errors import UserError
from components.soft_labels.batching import BatchedTeacher
from components.soft_labels.teachers.bundle import BundleTeacher
from components.soft_labels.teachers.checking import UnusableRowError
from tests.soft_labels.digit_labels import Labelling

Array = npt.NDArray[np.float32]
Allocate = Callable[[], object]
TOO_MUCH = 2**47
"""Bytes: all of the address space of a process."""


class HungryTeacher(BundleTeacher):
    """Asks for more memory than there is, where there are more rows than it has room for."""

    def __init__(self, labelling: Labelling, room: int, allocate: Allocate) -> None:
        super().__init__(*load_network(labelling.teacher))
        self.room, self.allocate = room, allocate
        self.asked: list[int] = []

    def logits(self, inputs: Array) -> Array:
        self.asked.append(len(inputs))
        if len(inputs) > self.room:
            self.allocate()
        return super().logits(inputs)


def allocate_with_torch() -> object:
    return torch.empty(TOO_MUCH, dtype=torch.uint8)


def allocate_with_numpy() -> object:
    return np.ones(TOO_MUCH, np.uint8)


@pytest.fixture(scope="module")
def inputs(labelling: Labelling) -> Array:
    return labelling.data.load("labelled", "unlabelled").inputs


@pytest.mark.parametrize("allocate", [allocate_with_torch, allocate_with_numpy])
def test_batches_are_halved_until_they_fit_and_stay_so(
    labelling: Labelling,
    inputs: Array,
    allocate: Allocate,
    events: Callable[[], dict[str, dict[str, Any]]],
) -> None:
    hungry = HungryTeacher(labelling, room=100, allocate=allocate)
    teacher = BatchedTeacher(hungry, rows=512)
    found = teacher.logits(inputs[:300])
    assert hungry.asked == [300, 256, 128, 64, 64, 64, 64, 44]
    assert events()["batch_halved"]["rows"] == 64
    expected = BundleTeacher(*load_network(labelling.teacher)).logits(inputs[:300])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    hungry.asked.clear()
    teacher.logits(inputs[:100])
    assert hungry.asked == [64, 36]


def test_rows_before_the_failure_are_not_labelled_again(
    labelling: Labelling, inputs: Array
) -> None:
    hungry = HungryTeacher(labelling, room=100, allocate=allocate_with_torch)
    teacher = BatchedTeacher(hungry, rows=100)
    teacher.logits(inputs[:100])
    hungry.room = 60
    hungry.asked.clear()
    teacher.logits(inputs[:150])
    assert hungry.asked == [100, 50, 50, 50]


def test_single_row_that_does_not_fit_is_a_clear_error(labelling: Labelling, inputs: Array) -> None:
    hungry = HungryTeacher(labelling, room=0, allocate=allocate_with_torch)
    with pytest.raises(UserError, match="more memory for a single row than there is"):
        BatchedTeacher(hungry, rows=8).logits(inputs[:8])
    assert hungry.asked == [8, 4, 2, 1]


def test_other_failures_are_not_taken_for_a_lack_of_memory(
    labelling: Labelling, inputs: Array
) -> None:
    def fail() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    hungry = HungryTeacher(labelling, room=0, allocate=fail)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        BatchedTeacher(hungry, rows=8).logits(inputs[:8])
    assert hungry.asked == [8]


def test_row_that_a_teacher_has_no_answer_for_is_counted_over_all_batches(
    labelling: Labelling, inputs: Array
) -> None:
    class Complaining(BundleTeacher):
        def logits(self, inputs: Array) -> Array:
            raise UnusableRowError(2, "no answer") if len(inputs) == 5 else AssertionError

    teacher = BatchedTeacher(Complaining(*load_network(labelling.teacher)), rows=5)
    with pytest.raises(UnusableRowError) as raised:
        teacher.logits(inputs[:5])
    assert raised.value.row == 2
