"""How logits are kept: all of them in float16, or the largest k with the mass of the others.

Logits are raw (temperature 1) and have the shape (rows, views, classes).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from components.shared.soft_labels.identity import StoreIdentity

Array = npt.NDArray[np.float32]
Tensors = dict[str, npt.NDArray[np.generic]]


def compress(logits: Array, identity: StoreIdentity) -> Tensors:
    """The tensors that stand for ``logits`` in a shard.

    Where the representation is ``topk``, ``logits`` (float16) and ``indices`` (the smallest
    unsigned integers that can name every class) are those of the k largest, largest first, and
    ``rest`` (float32) is the logsumexp of the logits of all other classes. The left-over mass is
    thus known however small it is, which the logsumexp of all classes would not give.

    What float16 cannot hold becomes infinite: see :func:`first_unusable`.
    """
    with np.errstate(over="ignore"):
        if identity.k is None:
            return {"logits": logits.astype(np.float16)}
        k = identity.k
        order = np.argpartition(-logits, k - 1, axis=-1)
        top = np.sort(order[..., :k], axis=-1)  # among equals the first class comes first
        by_size = np.argsort(-np.take_along_axis(logits, top, -1), axis=-1, kind="stable")
        top = np.take_along_axis(top, by_size, -1)
        others = np.take_along_axis(logits, order[..., k:], -1)
        return {
            "logits": np.take_along_axis(logits, top, -1).astype(np.float16),
            "indices": top.astype(index_type(logits.shape[-1])),
            "rest": _logsumexp(others),
        }


def expand(tensors: Mapping[str, npt.NDArray[np.generic]], identity: StoreIdentity) -> Array:
    """Dense float32 logits, shape (rows, views, classes), from a shard's tensors.

    Where the representation is ``topk``, the left-over mass is spread evenly over the other
    classes. At temperature 1 the probabilities of the k largest are then exact (those of the
    float16 logits) and all probabilities sum to 1. At another temperature the mass of the other
    classes is an approximation: as if they all were alike.
    """
    logits = tensors["logits"].astype(np.float32)
    if identity.k is None:
        return logits
    rows, views, k = logits.shape
    classes = len(identity.classes)
    each = tensors["rest"].astype(np.float32) - np.float32(np.log(classes - k))
    dense = np.broadcast_to(each[..., None], (rows, views, classes)).copy()
    np.put_along_axis(dense, tensors["indices"].astype(np.int64), logits, axis=-1)
    return dense


def first_choices(tensors: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.int64]:
    """The class with the largest stored logit for each plain row, shape (rows,)."""
    logits = tensors["logits"][:, 0].astype(np.float32)  # some times as fast as with 16 bits
    best: npt.NDArray[np.int64] = logits.argmax(axis=-1)
    if "indices" not in tensors:
        return best
    chosen = np.take_along_axis(tensors["indices"][:, 0].astype(np.int64), best[:, None], -1)
    return np.asarray(chosen[:, 0], dtype=np.int64)


def first_unusable(tensors: Mapping[str, npt.NDArray[np.generic]]) -> int | None:
    """The first row with a number that is not finite, if there is one."""
    usable = np.isfinite(tensors["logits"]).all(axis=(1, 2))
    if "rest" in tensors:
        usable &= np.isfinite(tensors["rest"]).all(axis=1)
    return None if usable.all() else int(np.argmin(usable))


def index_type(classes: int) -> type[np.unsignedinteger]:
    """The smallest integers that can name every one of so many classes."""
    kinds: tuple[type[np.unsignedinteger], ...] = (np.uint8, np.uint16, np.uint32)
    return next(kind for kind in kinds if classes - 1 <= np.iinfo(kind).max)


def _logsumexp(logits: Array) -> Array:
    largest = logits.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        total = np.exp(logits - largest, dtype=np.float64).sum(axis=-1)
    return np.asarray(largest[..., 0] + np.log(total), dtype=np.float32)
