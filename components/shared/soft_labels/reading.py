"""Reading a soft-label store: everything that its manifest says is checked, shard by shard."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from components.shared.errors import UserError
from components.shared.soft_labels.encoding import ShardContent, decode, has_shape_of, tally
from components.shared.soft_labels.identity import (
    FORMAT_VERSION,
    MANIFEST,
    StoreIdentity,
    StoreManifest,
    StoreShard,
)
from components.shared.soft_labels.representation import Array, expand
from components.shared.soft_labels.row_ids import Ids, as_ids, check_distinct, find_rows, hash_ids
from components.shared.storage import LocalStorage, Storage, join, local_copy

_GONE = "this soft-label shard is missing; label again"
_DAMAGED = "this soft-label shard is damaged: its content is not the manifest's; label again"


class ShardLabels:
    """The labels of one shard as they are stored; logits are made dense for whoever asks."""

    def __init__(self, content: ShardContent, identity: StoreIdentity) -> None:
        self.ids = content.ids
        self.known = content.labels
        """Class of each row of the split ``labelled``, shape (rows,); -1 for all others."""
        self._content = content
        self._identity = identity

    def of(self, ids: Ids) -> Array:
        """Raw logits of the given rows, float32, shape (len(ids), views, classes).

        Raises:
            UserError: a row has no label in this shard, or ids do not tell its rows apart.
        """
        wanted = as_ids(ids)
        tensors = self._content.tensors
        if not wanted.equals(self.ids):
            check_distinct(self.ids, "the soft-label store")
            rows = find_rows(self.ids, wanted, "the soft-label store")
            tensors = {name: tensor[rows] for name, tensor in tensors.items()}
        return expand(tensors, self._identity)


class SoftLabels:
    """A complete store, of which each shard is read when it is asked for."""

    def __init__(self, manifest: StoreManifest, location: str) -> None:
        self.identity = manifest.identity
        self.shards = manifest.shards
        self.manifest = manifest
        self._location = location

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        dataset_digest: str,
        classes: Sequence[str],
        digest: str | None = None,
    ) -> "SoftLabels":
        """Open a store and check that it is what the caller expects.

        Args:
            folder: the artifact, with ``manifest.json``; the shards lie beside it or where it says.
            dataset_digest: the data set that the labels must be of.
            classes: the classes that it must have, in their order.
            digest: identity of the store that the caller expects, if it knows one.

        Raises:
            UserError: the store is not sealed, or belongs to another data set, class order or
                identity; the message says which field differs.
        """
        manifest = read_manifest(LocalStorage(folder))
        _check(manifest, dataset_digest, list(classes), digest)
        return cls(manifest, manifest.location or str(folder))

    def labels(self, index: int) -> ShardLabels:
        """The labels of shard ``index``, in the bounded memory of one shard.

        Raises:
            UserError: the shard is missing, damaged, or not the one of the manifest.
        """
        return ShardLabels(
            read_shard(self._location, self.identity, index, self.shards[index]), self.identity
        )

    def logits(self, ids: Ids) -> Array:
        """Raw logits of the plain rows, float32, shape (len(ids), classes), for small stores.

        All shards are read, and kept.

        Raises:
            UserError: a row has no label in the store, or a shard is not right.
        """
        stored, logits = self._everything
        return logits[find_rows(stored, as_ids(ids), "the soft-label store")]

    @cached_property
    def _everything(self) -> tuple[pa.StringArray, Array]:
        parts = [self.labels(index) for index in range(len(self.shards))]
        width = len(self.identity.classes)
        none, nothing = pa.array([], pa.string()), np.zeros((0, width), np.float32)
        ids = pa.concat_arrays([none, *(part.ids for part in parts)])
        check_distinct(ids, "the soft-label store")
        return ids, np.concatenate([nothing, *(part.of(part.ids)[:, 0] for part in parts)])


def read_manifest(storage: Storage) -> StoreManifest:
    """The manifest of a store.

    Raises:
        UserError: there is none, it is of another format version, or contradicts itself.
    """
    where = f"the soft-label store {storage.uri}"
    try:
        data = storage.read(MANIFEST)
    except FileNotFoundError as error:
        raise UserError(
            f"{where} has no {MANIFEST}: labelling was not finished; label again"
        ) from error
    try:
        manifest = StoreManifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        expected = f" (expected {FORMAT_VERSION})" if field.endswith("format_version") else ""
        raise UserError(
            f"{where}: {MANIFEST} is not valid: {field}: {first['msg']}{expected}; label again"
        ) from error
    rows = sum(shard.rows for shard in manifest.shards)
    if rows != manifest.rows:
        raise UserError(
            f"{where} says rows: {manifest.rows}, but its shards have {rows}; label again"
        )
    return manifest


def read_shard(
    location: str, identity: StoreIdentity, index: int, shard: StoreShard
) -> ShardContent:
    """Read a shard of a sealed store.

    Args:
        location: path or URI of the folder that it is in.
        identity: of the store.
        index: position of the shard.
        shard: what the manifest says of it.

    Raises:
        UserError: the shard is missing, damaged, or another one.
    """
    uri = join(location, shard.file)
    where = f"soft-label shard {uri}"
    with local_copy(uri, shard.sha256, shard.bytes, gone=_GONE, changed=_DAMAGED) as file:
        data = file.read_bytes()
    try:
        content = decode(data)
    except ValueError as error:
        raise UserError(f"{where} cannot be read: {error}; label again") from error
    if content.identity != identity.digest:
        raise UserError(
            f"{where} belongs to another store: its identity is {content.identity[:12]}, expected "
            f"{identity.digest[:12]}; label again"
        )
    if content.index != index:
        raise UserError(f"{where} is shard {content.index}, expected {index}; label again")
    if len(content.ids) != shard.rows or not has_shape_of(content, identity):
        raise UserError(f"{where} has not the rows and classes that the manifest says; label again")
    if hash_ids(content.ids) != shard.ids_sha256:
        raise UserError(f"{where} has other rows than the manifest says (ids_sha256); label again")
    told, counted = (shard.labelled, shard.right), tally(content)
    if counted != told:
        raise UserError(
            f"{where} has {counted[0]} rows with a known class, {counted[1]} of them with it as "
            f"the teacher's first choice; the manifest says labelled: {told[0]}, right: {told[1]}; "
            "label again"
        )
    return content


def _check(
    manifest: StoreManifest, dataset_digest: str, classes: list[str], digest: str | None
) -> None:
    identity = manifest.identity
    if identity.dataset_digest != dataset_digest:
        raise UserError(
            "the soft-label store belongs to another data set: its dataset_digest is "
            f"{identity.dataset_digest[:12]}, expected {dataset_digest[:12]}; label again"
        )
    if identity.classes != classes:
        raise UserError(
            f"the soft-label store has the classes {', '.join(identity.classes)}, expected "
            f"{', '.join(classes)} in this order; label again"
        )
    if digest is not None and identity.digest != digest:
        raise UserError(
            f"the soft-label store is {identity.digest[:12]}, but {digest[:12]} was asked for; "
            "label again"
        )
