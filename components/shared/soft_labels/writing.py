"""Writing a soft-label store: shards that appear whole, in any order, and the manifest last."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.shared.encoding.faults import BadValue
from components.shared.lineage import Stage
from components.shared.soft_labels.encoding import (
    NO_LABEL,
    ShardContent,
    decode_unsealed,
    describe,
    encode,
    has_shape_of,
    shard_name,
)
from components.shared.soft_labels.identity import (
    MANIFEST,
    StoreIdentity,
    StoreManifest,
    StoreShard,
)
from components.shared.soft_labels.representation import Array, compress, first_unusable
from components.shared.soft_labels.row_ids import Ids, as_ids
from components.shared.storage import Damaged, Storage


class SoftLabelWriter:
    """Writes shards, takes over those that are whole already, and seals the store.

    Several processes, also of several runs, may write the same store at once. Where a teacher says
    something else each time, as on a GPU, the first to write a shard decides: nobody replaces one
    that is whole, since a manifest may name it already.
    """

    def __init__(self, storage: Storage, identity: StoreIdentity) -> None:
        self._storage = storage
        self._identity = identity
        self._shards: dict[int, StoreShard] = {}

    def take_over(self, index: int) -> bool:
        """Whether shard ``index`` is there, undamaged and of this store.

        If so it need not be computed again. The identity stands for the data, so that it decides
        which rows the shard has.
        """
        try:
            data = self._storage.read(shard_name(index))
            content = decode_unsealed(data)
        except (FileNotFoundError, Damaged, ValueError):
            return False
        if (content.identity, content.index) != (self._identity.digest, index):
            return False
        if not has_shape_of(content, self._identity):
            return False
        self._shards[index] = describe(content, data)
        return True

    def write(
        self,
        index: int,
        ids: Ids,
        logits: Array,
        labels: npt.NDArray[np.integer] | None = None,
    ) -> StoreShard:
        """Store one shard, unless somebody else has done so meanwhile.

        Args:
            index: position of the shard.
            ids: ids of the rows.
            logits: raw logits, float32, shape (rows, views, classes).
            labels: known class of each row, shape (rows,), -1 where there is none; the teacher's
                accuracy is counted on them. None: no row has one.

        Returns:
            What the manifest will say of the shard that is stored.

        Raises:
            BadValue: a logit is not finite, or too large for float16.
        """
        names = as_ids(ids)
        tensors = compress(logits, self._identity)
        row = first_unusable(tensors)
        if row is not None:
            raise BadValue(
                "the teacher's logits",
                row,
                f"are not finite in float16 (largest magnitude {np.abs(logits[row]).max():g}); the "
                "teacher is broken or its logits need scaling",
            )
        known = np.full(len(ids), NO_LABEL) if labels is None else labels
        content = ShardContent(self._identity.digest, index, names, known.astype(np.int32), tensors)
        data = encode(content)
        shard = describe(content, data)
        if not self._storage.create(shard.file, data):
            if self.take_over(index):
                return self._shards[index]
            self._storage.write(shard.file, data)  # what is there is damaged
        self._shards[index] = shard
        return shard

    def manifest(self) -> StoreManifest:
        """What will be sealed, of shards that were written or taken over."""
        missing = set(range(len(self._shards))) - set(self._shards)
        if missing:
            raise AssertionError(f"soft-label shard {min(missing)} is neither whole nor written")
        shards = [self._shards[index] for index in sorted(self._shards)]
        return StoreManifest(
            identity=self._identity, rows=sum(shard.rows for shard in shards), shards=shards
        )

    def seal(self, assistants: Sequence[Stage] = ()) -> StoreManifest:
        """Write the manifest, after which the store is complete.

        Args:
            assistants: the stages up to the assistant whose labels these are.
        """
        manifest = self.manifest().model_copy(update={"assistants": list(assistants)})
        write_manifest(self._storage, manifest)
        return manifest


def write_manifest(storage: Storage, manifest: StoreManifest) -> None:
    """Write the manifest of a store, or of an artifact that points to one."""
    storage.write(MANIFEST, manifest.model_dump_json(indent=2).encode())
