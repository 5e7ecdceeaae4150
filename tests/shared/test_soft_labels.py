import json
from pathlib import Path

import numpy as np
import pytest

from components.shared.errors import UserError
from components.shared.soft_labels import (
    MANIFEST,
    SoftLabels,
    SoftLabelWriter,
    StoreIdentity,
    TeacherRef,
)
from components.shared.storage import LocalStorage, open_storage

CLASSES = ["cat", "dog", "owl"]
IDS = ["a", "ü-2", "row three", "4"]
LOGITS = np.asarray([[1, 2, 3], [0, 0, 0], [-5, 8, 0.5], [100, -100, 0]], np.float32)


def identity(**changes: object) -> StoreIdentity:
    fields = {
        "dataset_digest": "d" * 64,
        "teachers": [TeacherRef(digest="t" * 64, weight=1.0)],
        "classes": CLASSES,
        "preprocessing_digest": "p" * 64,
    }
    return StoreIdentity.model_validate({**fields, **changes})


def write_store(folder: Path) -> LocalStorage:
    storage = LocalStorage(folder)
    writer = SoftLabelWriter(storage, identity())
    writer.write(0, IDS[:3], LOGITS[:3])
    writer.write(1, IDS[3:], LOGITS[3:])
    writer.seal()
    return storage


def content(storage: LocalStorage, name: str) -> bytes:
    with storage.open(name) as file:
        return file.read()


def read(storage: LocalStorage, **changes: object) -> SoftLabels:
    arguments = {"dataset_digest": "d" * 64, "classes": CLASSES, **changes}
    return SoftLabels.read(storage, **arguments)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> LocalStorage:
    return write_store(tmp_path / "store")


def test_logits_come_back_by_id_in_any_order(store: LocalStorage) -> None:
    found = read(store).logits(["4", "a", "ü-2"])
    np.testing.assert_array_equal(found, LOGITS[[3, 0, 1]])
    assert found.dtype == np.float32


def test_same_labels_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_store(tmp_path / name)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert one == two
    assert set(one) == {MANIFEST, "part-00000.safetensors", "part-00001.safetensors"}


def test_store_refuses_labels_of_another_dataset(store: LocalStorage) -> None:
    with pytest.raises(UserError, match="belongs to another data set: its dataset_digest is ddd"):
        read(store, dataset_digest="e" * 64)


def test_store_refuses_another_class_order(store: LocalStorage) -> None:
    with pytest.raises(UserError, match="has the classes cat, dog, owl, expected dog, cat, owl"):
        read(store, classes=["dog", "cat", "owl"])


def test_store_refuses_another_identity_than_asked_for(store: LocalStorage) -> None:
    assert read(store, digest=identity().digest)
    with pytest.raises(UserError, match="but ffffffffffff was asked for"):
        read(store, digest="f" * 64)


def test_store_without_its_seal_is_refused(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    SoftLabelWriter(storage, identity()).write(0, IDS, LOGITS)
    with pytest.raises(UserError, match="labelling was not finished"):
        read(storage)


def test_row_without_a_label_is_named(store: LocalStorage) -> None:
    with pytest.raises(UserError, match=r"no label for row 'nobody' \(1 of 2 rows\)"):
        read(store).logits(["a", "nobody"])


@pytest.mark.parametrize("offset", [0, 9, -1])
def test_flipped_byte_is_noticed(store: LocalStorage, tmp_path: Path, offset: int) -> None:
    path = tmp_path / "store" / "part-00000.safetensors"
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"part-00000.*is damaged"):
        read(store)


def test_truncated_shard_is_noticed(store: LocalStorage, tmp_path: Path) -> None:
    path = tmp_path / "store" / "part-00001.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"part-00001.*is damaged"):
        read(store)


def test_missing_shard_is_noticed(store: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "store" / "part-00001.safetensors").unlink()
    with pytest.raises(UserError, match=r"part-00001.*is missing"):
        read(store)


def test_shard_of_another_store_is_noticed_even_with_a_matching_manifest(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    other = LocalStorage(tmp_path / "other")
    writer = SoftLabelWriter(other, identity(preprocessing_digest="q" * 64))
    writer.write(0, IDS[:3], LOGITS[:3])
    foreign = writer.seal().shards[0]
    store.write("part-00000.safetensors", content(other, "part-00000.safetensors"))
    manifest = json.loads(content(store, MANIFEST))
    manifest["shards"][0] = foreign.model_dump()
    store.write(MANIFEST, json.dumps(manifest).encode())
    with pytest.raises(UserError, match="belongs to another store"):
        read(store)


def test_manifest_of_a_future_format_is_refused(store: LocalStorage) -> None:
    manifest = json.loads(content(store, MANIFEST))
    manifest["identity"]["format_version"] = 2
    store.write(MANIFEST, json.dumps(manifest).encode())
    with pytest.raises(UserError, match=r"identity\.format_version"):
        read(store)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_logits_that_float16_cannot_hold_are_refused(tmp_path: Path, value: float) -> None:
    broken = LOGITS.copy()
    broken[2, 1] = value
    with pytest.raises(UserError, match="logits for row 'row three' are not finite"):
        SoftLabelWriter(LocalStorage(tmp_path), identity()).write(0, IDS, broken)


def test_whole_shard_is_taken_over_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    SoftLabelWriter(storage, identity()).write(0, IDS, LOGITS)
    assert SoftLabelWriter(storage, identity()).has(0, IDS)
    assert not SoftLabelWriter(storage, identity()).has(0, IDS[::-1])
    assert not SoftLabelWriter(storage, identity()).has(1, IDS)
    assert not SoftLabelWriter(storage, identity(dataset_digest="e" * 64)).has(0, IDS)
    storage.write("part-00000.safetensors", b"half")
    assert not SoftLabelWriter(storage, identity()).has(0, IDS)


def test_storage_of_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(UserError, match="s3://bucket/x: only local paths"):
        open_storage("s3://bucket/x")
