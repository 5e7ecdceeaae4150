"""Several teachers: the weighted mean of their probabilities."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.shared.files import digest_of
from components.shared.soft_labels import SoftLabels, SoftLabelWriter, StoreManifest
from components.shared.storage import LocalStorage
from components.soft_labels import steps
from components.soft_labels.combining import combine as combine_stores
from components.soft_labels.combining import way_of
from components.soft_labels.pairwise import mean_of_logits
from components.soft_labels.stores import Stores
from tests.soft_labels.digit_labels import SHARDS, Labelling, content, write_teacher
from tests.soft_labels.written_stores import ensemble_of, write_store

Array = npt.NDArray[np.floating[Any]]
Refused = Callable[..., str]


def softmax(logits: Array) -> Array:
    exponent = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return exponent / exponent.sum(axis=-1, keepdims=True)


@given(
    st.integers(0, 2**32),
    st.sampled_from([0.1, 3.0, 30.0]),
    st.floats(0.01, 0.99),
)
@settings(max_examples=100)
def test_probabilities_are_averaged(seed: int, scale: float, share: float) -> None:
    first, second = (np.random.default_rng(seed).normal(size=(2, 4, 2, 7)) * scale).astype(
        np.float32
    )
    found = softmax(mean_of_logits(first, second, share))
    expected = share * softmax(first) + (1 - share) * softmax(second)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(
        np.exp(mean_of_logits(first, second, share)).sum(axis=-1), 1, rtol=1e-4
    )


def test_class_that_neither_teacher_believes_in_stays_within_float16() -> None:
    extreme = np.asarray([[65504.0, -65504.0]], np.float32)
    found = mean_of_logits(extreme, extreme, 0.5).astype(np.float16)
    assert found.tolist() == [[0.0, -65504.0]]


@pytest.fixture(scope="module")
def stores(
    labelling: Labelling, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Path, str]]:
    """Stores of three teachers, with their identities."""
    folder = tmp_path_factory.mktemp("stores")
    found = []
    for seed in range(3):
        teacher = folder / f"teacher-{seed}"
        digest = write_teacher(teacher, labelling.data, seed, scale=5)
        manifest = Labelling(labelling.dataset, teacher, digest).generate(folder / str(seed))
        found.append((folder / str(seed), manifest.identity.digest))
    return found


def combine(
    labelling: Labelling,
    stores: list[tuple[Path, str]],
    weights: tuple[float, ...],
    output: Path,
    storage: Path | str = "",
    **section: Any,
) -> StoreManifest:
    return steps.combine_soft_labels(
        labelling.dataset,
        labelling.data.manifest.digest,
        {
            "source": "ensemble",
            "members": [
                {"weight": weight, "teacher": {"source": "bundle", "uri": "elsewhere"}}
                for weight in weights
            ],
            **section,
        },
        stores,
        str(storage),
        output,
    )


@pytest.mark.parametrize(
    ("k", "digests"),
    [
        (
            None,
            [
                "31c92f555bc74472a5d5f557a7233bafe131db119c97f47dec53185920c3f98e",
                "7c6c60e81498cb7b4267d363bf7024c03b4b012b0f83b52b333e1cd4330207f5",
            ],
        ),
        (
            2,
            [
                "d86724345f18cd0c109f213ed7afe3816627640238b615c26292e23242fb8feb",
                "b1adf15aee9a82291a69038fc87f65a56ed47d6de7848f3fba8131dee209b36a",
            ],
        ),
    ],
)
def test_fixed_weights_give_the_bytes_that_stores_combined_two_by_two_had(
    tmp_path: Path, k: int | None, digests: list[str]
) -> None:
    """Digests of manifests, with the SHA-256 of every shard, by the step that took two stores."""
    rng = np.random.default_rng(7)
    labels = rng.integers(-1, 6, 20)
    stores = [
        write_store(
            tmp_path / str(number),
            f"teacher-{number}",
            list("abcdef"),
            (rng.integers(-160, 160, (20, 2, 6)) / 16).astype(np.float32),
            labels,
            k,
        )
        for number in range(3)
    ]
    for count, digest in zip((2, 3), digests, strict=True):
        assert digest_of(joined(tmp_path / f"of-{count}", stores[:count])) == digest


def joined(folder: Path, stores: list[SoftLabels]) -> Any:
    """The manifest of a few stores combined with weights 3, 1 and 2.5."""
    spec = ensemble_of((3.0, 1.0, 2.5)[: len(stores)])
    together = Stores(stores, list("abcdef"))
    way = way_of(spec, together)
    writer = SoftLabelWriter(LocalStorage(folder), way.identity)
    combine_stores(together, way, writer)
    return writer.seal().model_dump(mode="json")


def test_store_of_three_teachers_is_their_weighted_mean(
    labelling: Labelling, stores: list[tuple[Path, str]], tmp_path: Path
) -> None:
    manifest = combine(labelling, stores, (1, 2, 1), tmp_path / "three")
    weights = [teacher.weight for teacher in manifest.identity.teachers]
    np.testing.assert_allclose(weights, [0.25, 0.5, 0.25])
    rows = labelling.data.load("labelled", "unlabelled", "test")
    each = [softmax(labelling.open(folder).logits(rows.names)) for folder, _ in stores]
    found = softmax(labelling.open(tmp_path / "three").logits(rows.names))
    np.testing.assert_allclose(found, np.tensordot(weights, each, 1), rtol=5e-3, atol=1e-6)


def test_accuracy_is_that_of_the_mean(
    labelling: Labelling, stores: list[tuple[Path, str]], tmp_path: Path
) -> None:
    manifest = combine(labelling, stores[:2], (1, 1), tmp_path / "mean")
    rows = labelling.data.load("labelled")
    chosen = labelling.open(tmp_path / "mean").logits(rows.names).argmax(axis=1)
    assert (manifest.labelled, manifest.accuracy) == (100, (chosen == rows.labels).mean())


def test_combined_store_is_kept_and_found_again(
    labelling: Labelling, stores: list[tuple[Path, str]], tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    first = combine(labelling, stores[:2], (1, 1), tmp_path / "a", storage)
    place = Path(str(first.location))
    whole = content(place)
    (place / SHARDS[1]).write_bytes(b"half")
    assert combine(labelling, stores[:2], (1, 1), tmp_path / "b", storage) == first
    assert content(place) == whole
    assert combine(labelling, stores[:2], (2, 1), tmp_path / "c", storage) != first


def test_labels_that_do_not_fit_together_are_refused(
    labelling: Labelling, stores: list[tuple[Path, str]], tmp_path: Path, refused: Refused
) -> None:
    views = labelling.generate(tmp_path / "views", views={"count": 2, "shift": 1})
    other = [stores[0], (tmp_path / "views", views.identity.digest)]
    message = refused(combine, labelling, other, (1, 1), tmp_path / "mean")
    assert "cannot be combined: views is" in message
    message = refused(combine, labelling, [stores[0], (stores[1][0], "0" * 64)], (1, 1), tmp_path)
    assert "but 000000000000 was asked for" in message


def test_damaged_store_is_not_combined(
    labelling: Labelling, stores: list[tuple[Path, str]], tmp_path: Path, refused: Refused
) -> None:
    labelling.generate(tmp_path / "copy")
    digest = labelling.open(tmp_path / "copy").identity.digest
    shard = tmp_path / "copy" / SHARDS[3]
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    message = refused(
        combine, labelling, [(tmp_path / "copy", digest), stores[1]], (1, 1), tmp_path / "mean"
    )
    assert "part-00003.safetensors: this soft-label shard is damaged" in message


def test_share_that_is_too_small_to_count_counts_for_nothing() -> None:
    one, other = (np.asarray([logits], np.float32) for logits in ([1, 2, 4], [4, 2, 1]))
    expected = mean_of_logits(one, one, 0.5)
    np.testing.assert_allclose(mean_of_logits(one, other, 1.0), expected, atol=1e-6)
    np.testing.assert_allclose(mean_of_logits(other, one, 0.0), expected, atol=1e-6)


def test_labels_of_more_or_fewer_teachers_than_the_recipe_has_are_refused(
    labelling: Labelling, stores: list[tuple[Path, str]], tmp_path: Path, refused: Refused
) -> None:
    message = refused(combine, labelling, stores[:2], (1, 1, 1), tmp_path / "mean")
    assert "has 3 teachers, but there are labels of 2" in message
