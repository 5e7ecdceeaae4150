"""The soft-label store: what is written is read, and nothing else ever is."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.soft_labels import (
    MANIFEST,
    SoftLabels,
    SoftLabelWriter,
    StoreIdentity,
    StoreManifest,
    TeacherRef,
    Views,
    write_manifest,
)
from components.shared.storage import LocalStorage, open_storage
from components.shared.storage.patience import PATIENCE_VARIABLE
from tests.servers.fault_proxy import Fault, fault_proxy
from tests.servers.s3 import S3

CLASSES = ["cat", "dog", "owl"]
IDS = ["a", "ü-2", "row three", "4"]
LOGITS = np.asarray([[1, 2, 3], [0, 0, 0], [-5, 8, 0.5], [100, -100, 0]], np.float32)
KNOWN = np.asarray([2, -1, 0, 0])
PARTS = ["part-00000.safetensors", "part-00001.safetensors"]


def identity(**changes: Any) -> StoreIdentity:
    fields = {
        "dataset_digest": "d" * 64,
        "teachers": [TeacherRef(digest="t" * 64, weight=1.0)],
        "classes": CLASSES,
        "preprocessing_digest": "p" * 64,
        "piece_rows": 3,
    }
    return StoreIdentity.model_validate({**fields, **changes})


def write_store(folder: Path, **changes: Any) -> StoreManifest:
    writer = SoftLabelWriter(LocalStorage(folder), identity(**changes))
    logits = LOGITS[:, None]
    if changes.get("views"):
        logits = np.stack([LOGITS, LOGITS + 1], axis=1)
    writer.write(1, IDS[3:], logits[3:], KNOWN[3:])
    writer.write(0, IDS[:3], logits[:3], KNOWN[:3])
    return writer.seal()


def opened(folder: Path, **changes: Any) -> SoftLabels:
    return SoftLabels.open(folder, **{"dataset_digest": "d" * 64, "classes": CLASSES, **changes})


def read_all(folder: Path) -> None:
    store = opened(folder)
    for index in range(len(store.shards)):
        store.labels(index)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_store(tmp_path / "store")
    return tmp_path / "store"


def test_logits_come_back_by_id_in_any_order(store: Path) -> None:
    found = opened(store).logits(["4", "a", "ü-2"])
    np.testing.assert_array_equal(found, LOGITS[[3, 0, 1]])
    assert found.dtype == np.float32


def test_views_of_a_shard_come_back_by_id(tmp_path: Path) -> None:
    write_store(tmp_path, views=Views(seeds=[7], shift=1))
    shard = opened(tmp_path).labels(0)
    np.testing.assert_array_equal(shard.of(["row three", "a"])[:, 0], LOGITS[[2, 0]])
    np.testing.assert_array_equal(shard.of(["row three", "a"])[:, 1], LOGITS[[2, 0]] + 1)
    np.testing.assert_array_equal(shard.of(IDS[:3])[:, 1], LOGITS[:3] + 1)
    np.testing.assert_array_equal(opened(tmp_path).logits(IDS), LOGITS)


def test_shards_are_in_order_whatever_order_they_are_written_in(store: Path) -> None:
    manifest = opened(store).manifest
    assert [(shard.file, shard.rows) for shard in manifest.shards] == [(PARTS[0], 3), (PARTS[1], 1)]
    assert manifest.rows == 4


def test_accuracy_is_counted_on_known_classes_alone(store: Path) -> None:
    manifest = opened(store).manifest
    assert (manifest.labelled, manifest.accuracy) == (3, 2 / 3)


def test_same_labels_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_store(tmp_path / name)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert one == two
    assert set(one) == {MANIFEST, *PARTS}


def test_store_may_lie_elsewhere(store: Path, tmp_path: Path) -> None:
    manifest = opened(store).manifest.model_copy(update={"location": str(store)})
    write_manifest(LocalStorage(tmp_path / "artifact"), manifest)
    np.testing.assert_array_equal(opened(tmp_path / "artifact").logits(IDS), LOGITS)


def test_store_refuses_labels_of_another_dataset(store: Path) -> None:
    with pytest.raises(UserError, match="belongs to another data set: its dataset_digest is ddd"):
        opened(store, dataset_digest="e" * 64)


def test_store_refuses_another_class_order(store: Path) -> None:
    with pytest.raises(UserError, match="has the classes cat, dog, owl, expected dog, cat, owl"):
        opened(store, classes=["dog", "cat", "owl"])


def test_store_refuses_another_identity_than_asked_for(store: Path) -> None:
    assert opened(store, digest=identity().digest)
    with pytest.raises(UserError, match="but ffffffffffff was asked for"):
        opened(store, digest="f" * 64)


def test_store_without_its_seal_is_refused(tmp_path: Path) -> None:
    SoftLabelWriter(LocalStorage(tmp_path), identity()).write(0, IDS, LOGITS[:, None])
    with pytest.raises(UserError, match="labelling was not finished"):
        opened(tmp_path)


def test_row_without_a_label_is_named(store: Path) -> None:
    with pytest.raises(UserError, match=r"no label for row 'nobody' \(1 of 2 rows\)"):
        opened(store).logits(["a", "nobody"])
    with pytest.raises(UserError, match=r"no label for row '4' \(1 of 1 rows\)"):
        opened(store).labels(0).of(["4"])


def test_any_flipped_byte_is_noticed(store: Path) -> None:
    path = store / PARTS[0]
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"part-00000.*is damaged"):
            opened(store).labels(0)


@pytest.mark.parametrize("kept", [0, 8, 100, -1])
def test_truncated_shard_is_noticed(store: Path, kept: int) -> None:
    path = store / PARTS[1]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"part-00001.*is damaged"):
        read_all(store)


def test_missing_shard_is_noticed(store: Path) -> None:
    (store / PARTS[1]).unlink()
    with pytest.raises(UserError, match=r"part-00001.*is missing"):
        read_all(store)


def test_shard_of_another_index_is_noticed(store: Path) -> None:
    shutil.copyfile(store / PARTS[1], store / PARTS[0])
    with pytest.raises(UserError, match=r"part-00000.*is damaged"):
        read_all(store)


def rewrite_manifest(folder: Path, **shard: Any) -> None:
    """Make the manifest vouch for what lies at shard 0, as somebody might who repairs a store."""
    data = (folder / PARTS[0]).read_bytes()
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["shards"][0] |= {"sha256": sha256_bytes(data), "bytes": len(data), **shard}
    manifest["rows"] = sum(each["rows"] for each in manifest["shards"])
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_shard_of_another_data_set_is_noticed_even_where_the_manifest_vouches_for_it(
    store: Path, tmp_path: Path
) -> None:
    write_store(tmp_path / "other", dataset_digest="e" * 64)
    shutil.copyfile(tmp_path / "other" / PARTS[0], store / PARTS[0])
    rewrite_manifest(store)
    with pytest.raises(UserError, match=r"part-00000.*belongs to another store"):
        read_all(store)


def test_shard_of_another_index_is_noticed_even_where_the_manifest_vouches_for_it(
    store: Path,
) -> None:
    shutil.copyfile(store / PARTS[1], store / PARTS[0])
    rewrite_manifest(store, rows=1)
    with pytest.raises(UserError, match="is shard 1, expected 0"):
        read_all(store)


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ({"rows": 2}, "has not the rows and classes that the manifest says"),
        ({"ids_sha256": "0" * 64}, r"has other rows than the manifest says \(ids_sha256\)"),
        ({"sha256": "0" * 64}, "is damaged"),
        ({"bytes": 7}, "is damaged"),
        ({"labelled": 3}, r"has 2 rows with a known class.* the manifest says labelled: 3, right"),
        ({"right": 2}, r"1 of them with it as the teacher's first choice.*: 2, right: 2; label"),
    ],
)
def test_every_field_of_a_shard_is_checked(store: Path, shard: Any, message: str) -> None:
    rewrite_manifest(store, **shard)
    with pytest.raises(UserError, match=f"part-00000.*{message}"):
        read_all(store)


def test_manifest_that_contradicts_itself_is_refused(store: Path) -> None:
    manifest = json.loads((store / MANIFEST).read_text())
    (store / MANIFEST).write_text(json.dumps({**manifest, "rows": 5}))
    with pytest.raises(UserError, match="says rows: 5, but its shards have 4"):
        opened(store)


@pytest.mark.parametrize("version", [1, 3])
def test_manifest_of_another_format_is_refused(store: Path, version: int) -> None:
    manifest = json.loads((store / MANIFEST).read_text())
    manifest["identity"]["format_version"] = version
    (store / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"identity\.format_version: .*expected 2"):
        opened(store)


def test_two_rows_of_the_same_id_are_refused(tmp_path: Path) -> None:
    writer = SoftLabelWriter(LocalStorage(tmp_path), identity())
    writer.write(0, ["a", "b"], LOGITS[:2, None])
    writer.write(1, ["b", "c"], LOGITS[2:, None])
    writer.seal()
    with pytest.raises(UserError, match="several rows with the id 'b'"):
        opened(tmp_path).logits(["a"])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_logits_that_float16_cannot_hold_are_refused(tmp_path: Path, value: float) -> None:
    broken = LOGITS[:, None].copy()
    broken[2, 0, 1] = value
    writer = SoftLabelWriter(LocalStorage(tmp_path), identity())
    with pytest.raises(UserError, match="logits in row 2: are not finite"):
        writer.write(0, IDS, broken)
    assert list(tmp_path.iterdir()) == []


def test_whole_shard_is_taken_over_and_described_the_same(store: Path) -> None:
    writer = SoftLabelWriter(LocalStorage(store), identity())
    assert writer.take_over(0)
    assert writer.take_over(1)
    assert writer.manifest() == opened(store).manifest


def test_shard_of_another_store_or_index_is_not_taken_over(store: Path) -> None:
    storage = LocalStorage(store)
    assert not SoftLabelWriter(storage, identity()).take_over(2)
    assert not SoftLabelWriter(storage, identity(dataset_digest="e" * 64)).take_over(0)
    shutil.copyfile(store / PARTS[0], store / PARTS[1])
    assert not SoftLabelWriter(storage, identity()).take_over(1)


def test_shard_with_any_flipped_byte_is_not_taken_over(store: Path) -> None:
    path = store / PARTS[0]
    whole = path.read_bytes()
    writer = SoftLabelWriter(LocalStorage(store), identity())
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert not writer.take_over(0), f"byte {position}"
        path.write_bytes(whole[:position])
        assert not writer.take_over(0), f"cut off at {position}"


def test_shard_that_s3_gives_damaged_for_good_is_not_taken_over(
    s3: S3, s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    SoftLabelWriter(open_storage(s3_root), identity()).write(0, IDS, LOGITS[:, None])
    monkeypatch.setenv(PATIENCE_VARIABLE, "0")
    with fault_proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.uri)
        writer = SoftLabelWriter(open_storage(s3_root), identity())
        assert writer.take_over(0)
        proxy.inject(Fault.FLIP, at=1, lasting=True)
        assert not writer.take_over(0)


def test_two_rows_of_the_same_id_in_one_shard_are_refused(tmp_path: Path) -> None:
    writer = SoftLabelWriter(LocalStorage(tmp_path), identity())
    writer.write(0, ["a", "b", "a"], LOGITS[:3, None])
    writer.seal()
    shard = opened(tmp_path).labels(0)
    with pytest.raises(UserError, match="several rows with the id 'a'.*duplicate_id"):
        shard.of(["b", "a"])
    # All rows in their order need no ids.
    np.testing.assert_array_equal(shard.of(["a", "b", "a"])[:, 0], LOGITS[:3])


def test_shard_that_another_run_has_written_meanwhile_stays(tmp_path: Path) -> None:
    """A teacher on a GPU does not say the same twice, and the other run may have sealed."""
    one, other = (SoftLabelWriter(LocalStorage(tmp_path), identity()) for _ in range(2))
    assert not one.take_over(0)
    assert not other.take_over(0)
    one.write(0, IDS, LOGITS[:, None])
    sealed = one.seal()
    assert other.write(0, IDS, LOGITS[:, None] * 2) == sealed.shards[0]
    assert other.manifest() == sealed
    np.testing.assert_array_equal(opened(tmp_path).logits(IDS), LOGITS)


def test_damaged_shard_is_replaced(store: Path) -> None:
    (store / PARTS[0]).write_bytes(b"no shard")
    writer = SoftLabelWriter(LocalStorage(store), identity())
    assert not writer.take_over(0)
    writer.write(0, IDS[:3], LOGITS[:3, None], KNOWN[:3])
    np.testing.assert_array_equal(opened(store).logits(IDS), LOGITS)
