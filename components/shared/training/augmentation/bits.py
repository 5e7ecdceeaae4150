"""Random bits that seed and position of a row decide, on every machine alike."""

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_LOW = np.uint64(2**32 - 1)


def random_bits(seed: int, positions: Positions, columns: int | None = None) -> Bits:
    """64 random bits for each row, or for each column of each row.

    They are a hash of seed, position and column, so that no row's depend on another's (SplitMix64:
    Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014).

    Returns:
        Shape (rows,), or (rows, columns).
    """
    start = _mixed(np.asarray([seed], np.uint64) * _STEP + _STEP)
    rows = _mixed(start + positions.astype(np.uint64) * _STEP)
    if columns is None:
        return rows
    return _mixed(rows[:, None] + np.arange(1, columns + 1, dtype=np.uint64) * _STEP)


def stream(seed: int, purpose: int) -> int:
    """The seed of bits that have nothing to do with those of the same seed for another purpose.

    Args:
        seed: of a view.
        purpose: 1 or more; 0 is the seed itself.
    """
    return (seed + (purpose << 32)) % 2**64


def choices(bits: Bits, count: int) -> Positions:
    """A number from 0 to below ``count`` (at most 2³²), from the upper half of the bits."""
    return ((bits >> _HALF) * np.uint64(count) >> _HALF).astype(np.int64)


def lower_choices(bits: Bits, count: int) -> Positions:
    """As :func:`choices`, from the lower half of the bits."""
    return ((bits & _LOW) * np.uint64(count) >> _HALF).astype(np.int64)


def units(bits: Bits) -> npt.NDArray[np.float64]:
    """Numbers from 0 to below 1, multiples of 2⁻³², from the upper half of the bits."""
    return (bits >> _HALF).astype(np.float64) * 2.0**-32


def _mixed(bits: Bits) -> Bits:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
