"""Portions and representation: decided from sizes alone."""

from typing import Any

import pytest

from components.shared.dataset import Dataset
from components.shared.recipe.labelling import LabellingSpec
from components.soft_labels.batching import fitting_rows
from components.soft_labels.planning import batch_rows, piece_rows, store_identity
from components.soft_labels.teachers.bundle import BundleTeacher
from components.soft_labels.teachers.opening import open_teacher
from tests.soft_labels.digit_labels import Labelling


@pytest.mark.parametrize(
    ("shape", "logits", "rows"),
    [((20,), 10, 65_536), ((1, 28, 28), 10, 16_384), ((3, 224, 224), 1000, 256)],
)
def test_piece_takes_up_to_64_mib_within_limits(
    shape: tuple[int, ...], logits: int, rows: int
) -> None:
    assert piece_rows(shape, logits) == rows


@pytest.mark.parametrize(
    ("shape", "rows"),
    [((20,), 1_024), ((1, 28, 28), 256), ((3, 32, 32), 64), ((3, 224, 224), 16)],
)
def test_batch_on_a_cpu_depends_on_the_rows_size_alone(shape: tuple[int, ...], rows: int) -> None:
    assert batch_rows(shape) == rows


@pytest.mark.parametrize(
    ("taken", "free", "rows"),
    [
        (0, 2**30, 64),  # the teacher is not on the GPU
        (2**26, 2**30, 512),  # 1 MiB a row, half of 1 GiB
        (2**26, 2**27, 64),
        (2**26, 0, 64),
        (64, 2**40, 8_192),
    ],
)
def test_batch_on_a_gpu_takes_half_of_the_free_memory(taken: int, free: int, rows: int) -> None:
    assert fitting_rows(taken, 64, free) == rows


@pytest.mark.parametrize(
    ("classes", "section", "k"),
    [
        (256, {}, None),
        (257, {}, 64),
        (257, {"k": 300}, None),
        (257, {"representation": "dense"}, None),
        (10, {"representation": "topk", "k": 5}, 5),
    ],
)
def test_all_logits_are_kept_while_classes_are_few(
    labelling: Labelling, classes: int, section: dict[str, Any], k: int | None
) -> None:
    manifest = Dataset.open(labelling.dataset).manifest.model_copy(
        update={"classes": [str(number) for number in range(classes)]}
    )
    teacher = open_teacher(labelling.teacher, labelling.teacher_digest)
    assert isinstance(teacher, BundleTeacher)
    teacher.classes = manifest.classes  # else it would be one that knows some of them
    identity = store_identity(teacher, manifest, LabellingSpec(**section), [])
    assert identity.k == k
    assert identity.representation == ("dense" if k is None else "topk")
