"""The file of a shard: safetensors with ids, stored logits, and a header that says whose they are.

The same content is always the same bytes, and nearly all of a file is content: a shard that is not
what encoding its content gives, byte for byte, is damaged.
"""

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.files import sha256_bytes
from components.shared.soft_labels.identity import StoreIdentity, StoreShard
from components.shared.soft_labels.representation import Tensors, first_choices
from components.shared.soft_labels.row_ids import hash_ids, pack, unpack

_HEADER = "shard"
"""Key of the header: the only one, since safetensors writes several in any order."""
NO_LABEL = -1


@dataclass(frozen=True)
class ShardContent:
    """What a shard's file holds."""

    identity: str
    """Digest of the store's identity."""
    index: int
    """Position of the shard in the store."""
    ids: pa.StringArray
    labels: npt.NDArray[np.int32]
    """Known class of each row, shape (rows,); -1 where there is none, and for test rows."""
    tensors: Tensors
    """As :func:`~components.shared.soft_labels.representation.compress` gives them."""


def shard_name(index: int) -> str:
    """File of shard ``index``."""
    return f"part-{index:05d}.safetensors"


def encode(content: ShardContent) -> bytes:
    """A shard's file; equal content gives equal bytes."""
    from safetensors.numpy import save

    ends, text = pack(content.ids)
    tensors: Tensors = {
        **content.tensors,
        "labels": content.labels,
        "id_bytes": text,
        "id_ends": ends,
    }
    header = {
        "identity": content.identity,
        "index": content.index,
        "sha256": _sha256_of_tensors(tensors),
    }
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    return bytes(save(contiguous, {_HEADER: json.dumps(header, sort_keys=True)}))


def decode(data: bytes) -> ShardContent:
    """The content of a shard's file.

    Raises:
        ValueError: it is not one.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_HEADER])
        tensors: Tensors = load(data)
        labels = tensors.pop("labels")
        ends, text = tensors.pop("id_ends"), tensors.pop("id_bytes")
        return ShardContent(
            identity=header["identity"],
            index=header["index"],
            ids=unpack(ends.astype(np.int32), text.astype(np.uint8)),
            labels=labels.astype(np.int32),
            tensors=tensors,
        )
    except (SafetensorError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"not a soft-label shard ({error})") from error


def decode_unsealed(data: bytes) -> ShardContent:
    """The content of a file for which no manifest vouches.

    Raises:
        ValueError: it is not a shard, or not whole.
    """
    content = decode(data)
    if encode(content) != data:
        raise ValueError("its content is not what was written")
    return content


def describe(content: ShardContent, data: bytes) -> StoreShard:
    """What the manifest says of a shard.

    Args:
        content: of the shard.
        data: its file.
    """
    labelled, right = tally(content)
    return StoreShard(
        file=shard_name(content.index),
        rows=len(content.ids),
        bytes=len(data),
        sha256=sha256_bytes(data),
        ids_sha256=hash_ids(content.ids),
        labelled=labelled,
        right=right,
    )


def tally(content: ShardContent) -> tuple[int, int]:
    """Rows of a shard whose class is known, and those of them on which the teacher is right."""
    known = content.labels != NO_LABEL
    plain = {name: tensor[known, :1] for name, tensor in content.tensors.items()}
    right = first_choices(plain) == content.labels[known]
    return len(right), int(right.sum())


def has_shape_of(content: ShardContent, identity: StoreIdentity) -> bool:
    """Whether the tensors are those of a store with this identity, each with a row for each id."""
    logits = content.tensors.get("logits")
    if logits is None or content.labels.shape != (len(content.ids),):
        return False
    width = len(identity.classes) if identity.k is None else identity.k
    views = (len(content.ids), identity.views.count)
    expected: dict[str, tuple[int, ...]] = {"logits": (*views, width)}
    if identity.k is not None:
        expected |= {"indices": (*views, width), "rest": views}
    return {name: tensor.shape for name, tensor in content.tensors.items()} == expected


def _sha256_of_tensors(tensors: Tensors) -> str:
    """Over names, types, shapes and bytes."""
    shapes = {name: [str(tensor.dtype), *tensor.shape] for name, tensor in tensors.items()}
    described = json.dumps(shapes, sort_keys=True).encode()
    parts = [np.ascontiguousarray(tensors[name]) for name in sorted(tensors)]
    return sha256_bytes(b"".join([described, *(part.tobytes() for part in parts)]))
