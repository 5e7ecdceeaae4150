"""The soft-label store: what a teacher said about each row, kept by row id.

One prefix holds ``manifest.json`` and safetensors shards with raw logits (temperature 1, so that
the temperature stays a choice of training). Shards appear whole; the manifest is written last and
seals the store. A reader checks everything that the manifest says before the first batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from components.shared.errors import UserError
from components.shared.files import digest_of, sha256_bytes
from components.shared.storage import Storage

MANIFEST = "manifest.json"
FORMAT_VERSION: Literal[1] = 1

Array = npt.NDArray[np.float32]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TeacherRef(_Record):
    """One teacher and its share in the labels."""

    digest: str
    weight: float


class StoreShard(_Record):
    """One safetensors file with tensors ``logits`` (rows, classes) and the row ids."""

    file: str
    rows: int
    sha256: str
    ids_sha256: str


class StoreIdentity(_Record):
    """What the labels depend on. Two stores with the same identity hold the same labels."""

    format_version: Literal[1] = FORMAT_VERSION
    dataset_digest: str
    teachers: list[TeacherRef]
    classes: list[str]
    """Class names in the order of the logits."""
    preprocessing_digest: str
    """Hash of the teachers' input description and preprocessing."""
    representation: Literal["dense"] = "dense"
    dtype: Literal["float16"] = "float16"
    views: Literal[1] = 1
    view_seeds: list[int] = []
    """Seeds of augmented views; the plain row, which is the only view so far, has none."""

    @property
    def digest(self) -> str:
        """Hash of all fields."""
        return digest_of(self.model_dump(mode="json"))


class StoreManifest(_Record):
    """The seal of a complete store."""

    identity: StoreIdentity
    rows: int
    shards: list[StoreShard]


class SoftLabelWriter:
    """Writes shards one by one, skips those that are whole already, and seals the store."""

    def __init__(self, storage: Storage, identity: StoreIdentity) -> None:
        self._storage = storage
        self._identity = identity
        self._shards: list[StoreShard] = []

    def has(self, index: int, ids: Sequence[str]) -> bool:
        """Whether shard ``index`` is there, undamaged, for these ids and this identity.

        If so it is taken over, and need not be computed again.
        """
        name = _shard_name(index)
        if not self._storage.exists(name):
            return False
        with self._storage.open(name) as file:
            data = file.read()
        try:
            found, logits, identity = _decode(data)
        except ValueError:
            return False
        expected = (len(ids), len(self._identity.classes))
        if identity != self._identity.digest or found != list(ids) or logits.shape != expected:
            return False
        self._shards.append(_describe(name, data, ids))
        return True

    def write(self, index: int, ids: Sequence[str], logits: Array) -> None:
        """Store one shard.

        Args:
            index: position of the shard.
            ids: ids of the rows.
            logits: float32, shape (rows, classes).

        Raises:
            UserError: a logit is not finite, or too large for float16.
        """
        with np.errstate(over="ignore"):
            stored = logits.astype(np.float16)
        finite = np.isfinite(stored).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise UserError(
                f"the teacher's logits for row {ids[row]!r} are not finite in float16 "
                f"(largest magnitude {np.abs(logits[row]).max():g}); the teacher is broken or its "
                "logits need scaling"
            )
        data = _encode(ids, stored, self._identity.digest)
        name = _shard_name(index)
        self._storage.write(name, data)
        self._shards.append(_describe(name, data, ids))

    def seal(self) -> StoreManifest:
        """Write the manifest, after which the store is complete."""
        manifest = StoreManifest(
            identity=self._identity,
            rows=sum(shard.rows for shard in self._shards),
            shards=self._shards,
        )
        self._storage.write(MANIFEST, manifest.model_dump_json(indent=2).encode())
        return manifest


@dataclass(frozen=True)
class SoftLabels:
    """A complete store in memory."""

    identity: StoreIdentity
    _logits: Array
    _row_of: dict[str, int]

    @classmethod
    def read(
        cls,
        storage: Storage,
        *,
        dataset_digest: str,
        classes: Sequence[str],
        digest: str | None = None,
    ) -> "SoftLabels":
        """Read a store and check it against the data set it is to be used with.

        Args:
            storage: where the store lives.
            dataset_digest: the data set it must belong to.
            classes: the classes it must have, in their order.
            digest: identity of the store that the caller expects, if it knows one.

        Raises:
            UserError: it is not sealed, is damaged, or belongs to another data set or class order;
                the message says which field differs.
        """
        manifest = _read_manifest(storage)
        identity = manifest.identity
        if identity.dataset_digest != dataset_digest:
            raise UserError(
                "the soft-label store belongs to another data set: its dataset_digest is "
                f"{identity.dataset_digest[:12]}, expected {dataset_digest[:12]}; label again"
            )
        if identity.classes != list(classes):
            raise UserError(
                f"the soft-label store has the classes {', '.join(identity.classes)}, expected "
                f"{', '.join(classes)} in this order; label again"
            )
        if digest is not None and identity.digest != digest:
            raise UserError(
                f"the soft-label store is {identity.digest[:12]}, but {digest[:12]} was asked for"
            )
        ids: list[str] = []
        parts: list[Array] = []
        for shard in manifest.shards:
            found, logits = _read_shard(storage, shard, identity)
            ids += found
            parts.append(logits)
        if len(ids) != manifest.rows or len(set(ids)) != len(ids):
            raise UserError(
                f"the soft-label store says {manifest.rows} rows, but its shards hold "
                f"{len(set(ids))} different ids in {len(ids)} rows; label again"
            )
        width = len(identity.classes)
        logits = np.concatenate(parts) if parts else np.zeros((0, width), np.float32)
        return cls(identity, logits, {name: row for row, name in enumerate(ids)})

    def logits(self, ids: Sequence[str]) -> Array:
        """Raw logits of the given rows, float32, shape (len(ids), classes).

        Raises:
            UserError: a row has no label in the store.
        """
        missing = [name for name in ids if name not in self._row_of]
        if missing:
            raise UserError(
                f"the soft-label store has no label for row {missing[0]!r}"
                f" ({len(missing)} of {len(ids)} rows); label again"
            )
        return self._logits[[self._row_of[name] for name in ids]]


def _read_manifest(storage: Storage) -> StoreManifest:
    if not storage.exists(MANIFEST):
        raise UserError("the soft-label store has no manifest.json: labelling was not finished")
    with storage.open(MANIFEST) as file:
        data = file.read()
    try:
        return StoreManifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"the soft-label store's manifest.json is not valid: {field}: {first['msg']}"
        ) from error


def _read_shard(
    storage: Storage, shard: StoreShard, identity: StoreIdentity
) -> tuple[list[str], Array]:
    where = f"soft-label shard {shard.file}"
    if not storage.exists(shard.file):
        raise UserError(f"{where} is missing; label again")
    with storage.open(shard.file) as file:
        data = file.read()
    if sha256_bytes(data) != shard.sha256:
        raise UserError(f"{where} is damaged: its SHA-256 is not the manifest's; label again")
    try:
        ids, logits, owner = _decode(data)
    except ValueError as error:
        raise UserError(f"{where} cannot be read: {error}") from error
    if owner != identity.digest:
        raise UserError(f"{where} belongs to another store; label again")
    if _hash_ids(ids) != shard.ids_sha256 or logits.shape != (shard.rows, len(identity.classes)):
        raise UserError(f"{where} does not hold the rows that the manifest says; label again")
    return ids, logits.astype(np.float32)


def _shard_name(index: int) -> str:
    return f"part-{index:05d}.safetensors"


def _hash_ids(ids: Sequence[str]) -> str:
    return digest_of(list(ids))


def _describe(name: str, data: bytes, ids: Sequence[str]) -> StoreShard:
    return StoreShard(
        file=name, rows=len(ids), sha256=sha256_bytes(data), ids_sha256=_hash_ids(ids)
    )


def _encode(ids: Sequence[str], logits: npt.NDArray[np.float16], identity: str) -> bytes:
    from safetensors.numpy import save

    encoded = [name.encode() for name in ids]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return bytes(
        save(
            {
                "logits": logits,
                "id_bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8),
                "id_ends": ends,
                "identity": np.frombuffer(identity.encode(), dtype=np.uint8),
            }
        )
    )


def _decode(data: bytes) -> tuple[list[str], npt.NDArray[np.float16], str]:
    """Ids, logits and the identity they were made for; ``ValueError`` if it is not a shard."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
        logits, ends = tensors["logits"], tensors["id_ends"].tolist()
        blob, identity = tensors["id_bytes"].tobytes(), tensors["identity"].tobytes().decode()
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"not a soft-label shard ({error})") from error
    ids = [blob[start:end].decode() for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return ids, logits, identity
