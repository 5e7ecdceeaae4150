"""Hashes of rows, vectorised: the same for equal ids or features, else different.

Each 64-bit word is a sum of well-mixed values times odd numbers, which are different for each
position. Two words (128 bits) of a billion rows collide by chance once in 10^20 data sets, one word
once in forty.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Matrix = npt.NDArray[np.float32]

_VALUES = 2**16
"""Values that are hashed at once: what a core keeps in its cache."""
_DROPPED = np.uint32(0x7F)
"""The bits of a float's mantissa that a near hash leaves out: 2^-16 remain, about five digits."""
_HALF = np.uint32(0x40)


class Hashes(NamedTuple):
    """Of the features of some rows, each of shape (rows,)."""

    exact: Words
    second: Words
    """The other half of the exact hash."""
    near: Words
    """The same for rows that are equal to about five digits."""


def mixed(values: Words) -> Words:
    """Bits that all depend on all bits of ``values``, which are overwritten (splitmix64)."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def feature_hashes(values: Matrix) -> Hashes:
    """Hash rows of features, shape (rows, width); -0.0 is 0.0, and NaN is equal to NaN."""
    rows, width = values.shape
    found = Hashes(*(np.empty(rows, np.uint64) for _ in range(3)))
    salts, first, second = (_odd_numbers(width, seed) for seed in range(3))
    step = max(1, _VALUES // max(width, 1))
    for start in range(0, rows, step):
        part = slice(start, start + step)
        # Adding zero makes -0.0 equal to 0.0.
        bits = (values[part] + np.float32(0.0)).view(np.uint32)
        bits[np.isnan(values[part])] = np.uint32(0x7FC00000)
        spread = mixed(bits.astype(np.uint64) + salts)
        found.exact[part] = (spread * first).sum(axis=1, dtype=np.uint64)
        found.second[part] = (spread * second).sum(axis=1, dtype=np.uint64)
        if (bits & _DROPPED).any():
            rounded = (bits + _HALF) & ~_DROPPED
            spread = mixed(rounded.astype(np.uint64) + salts)
            found.near[part] = (spread * first).sum(axis=1, dtype=np.uint64)
        else:
            found.near[part] = found.exact[part]
    return found


def number_hashes(numbers: npt.NDArray[np.int64]) -> tuple[Words, Words]:
    """Two words for each of some whole numbers, shape (rows,)."""
    bits = numbers.view(np.uint64)
    first, second = (_odd_numbers(1, seed) for seed in (3, 4))
    return mixed(bits + first), mixed(bits * second)


def text_hashes(texts: npt.NDArray[np.object_]) -> tuple[Words, Words]:
    """Two words (SipHash with different keys) for each of some texts, shape (rows,)."""
    from pandas.util import hash_array

    keys = ("kubedistill-first", "kubedistill-other")
    one, two = (hash_array(texts, hash_key=key[-16:], categorize=False) for key in keys)
    return one, two


def _odd_numbers(count: int, seed: int) -> Words:
    numbers = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 32)
    return mixed(numbers * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
