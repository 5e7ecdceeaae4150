"""Which rows are taken out, and why."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


class Taken:
    """Positions of rows, each with the numbers of the reasons; 10 bytes for each of them."""

    def __init__(self) -> None:
        self._positions: list[Positions] = []
        self._reasons: list[npt.NDArray[np.int16]] = []
        self._names: dict[str, int] = {}
        self._sorted: tuple[Positions, npt.NDArray[np.int16]] | None = None

    def add(self, positions: Positions, reason: str) -> None:
        """Take rows out; a row may be taken out for several reasons."""
        if len(positions):
            number = self._names.setdefault(reason, len(self._names))
            self._positions.append(positions.astype(np.int64))
            self._reasons.append(np.full(len(positions), number, np.int16))
            self._sorted = None

    @property
    def positions(self) -> Positions:
        """All rows that are taken out, each once, in order."""
        return np.unique(self._in_order()[0])

    def among(self, positions: Positions) -> npt.NDArray[np.bool_]:
        """Which of some rows are taken out, shape (rows,)."""
        every = self._in_order()[0]
        places = np.searchsorted(every, positions)
        found: npt.NDArray[np.bool_] = places < np.searchsorted(every, positions, side="right")
        return found

    def reasons(self, positions: Positions) -> Iterator[str]:
        """Why some rows, in order, are taken out: all reasons, in the order of the checks."""
        names = list(self._names)
        every, numbers = self._in_order()
        starts = np.searchsorted(every, positions, side="left")
        stops = np.searchsorted(every, positions, side="right")
        for start, stop in zip(starts, stops, strict=True):
            yield "; ".join(names[number] for number in dict.fromkeys(numbers[start:stop].tolist()))

    def _in_order(self) -> tuple[Positions, npt.NDArray[np.int16]]:
        """Positions, and the reason of each, sorted by both."""
        if self._sorted is None:
            every = np.concatenate([np.zeros(0, np.int64), *self._positions])
            numbers = np.concatenate([np.zeros(0, np.int16), *self._reasons])
            order = np.lexsort((numbers, every))
            self._sorted = every[order], numbers[order]
        return self._sorted
