"""Rows with equal keys, found in bounded memory: keys go to files by their leading bits, and each
file is sorted by itself.

A record is some 64-bit words of key and one that says which row it is: 24 to 32 bytes a row on disk
(``TMPDIR``), and the records of one file in memory: about one 256th of all for large data, where
keys are different. Records with the same key are in the same file, so where a large share of the
rows are equal, that share is in memory at once, with about 250 bytes a row while it is looked at.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from components.data_validation.room import temporary_room
from components.data_validation.scan.hashing import Words

_ROWS_OF_A_FILE = 2**18
_MOST_FILES_BITS = 8
_SPLIT_BITS, _LABEL_BITS = 2, 22
_WHAT = "the hashes of the rows"


class Tickets:
    """Which rows records are of: position, split and label in one word each."""

    def __init__(self, words: Words) -> None:
        self._words = words

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Number of each row over the whole data set."""
        return (self._words >> np.uint64(_SPLIT_BITS + _LABEL_BITS)).astype(np.int64)

    @property
    def splits(self) -> npt.NDArray[np.int64]:
        """Position of each row's split in ``SPLITS``."""
        return (self._words & np.uint64(2**_SPLIT_BITS - 1)).astype(np.int64)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class index of each row; -1 where it has none."""
        bits = (self._words >> np.uint64(_SPLIT_BITS)) & np.uint64(2**_LABEL_BITS - 1)
        return bits.astype(np.int64) - 1


def tickets(
    positions: npt.NDArray[np.int64],
    splits: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
) -> Words:
    """One word for each row: up to 2^40 rows and 2^22 classes."""
    words = (positions << _LABEL_BITS | (labels + 1)) << _SPLIT_BITS | splits
    return words.astype(np.uint64)


class KeyTable:
    """Records with one, two or three words of key; the first decides which are compared."""

    def __init__(self, folder: Path, name: str, words: int, rows: int) -> None:
        """Open the files.

        Args:
            folder: for the files, which stay until it is removed.
            name: theirs.
            words: of a record, the ticket included.
            rows: how many there will be, about.
        """
        self._words = words
        files = -(-rows // _ROWS_OF_A_FILE)
        self._bits = min(max(files - 1, 0).bit_length(), _MOST_FILES_BITS)
        self._stack = ExitStack()
        self._files = [
            self._stack.enter_context((folder / f"{name}-{number}").open("w+b"))
            for number in range(2**self._bits)
        ]

    def __enter__(self) -> "KeyTable":
        return self

    def __exit__(self, *_: object) -> None:
        with temporary_room(_WHAT):
            self._stack.close()

    def add(self, *words: Words) -> None:
        """Add records, given by column; each of shape (rows,).

        Raises:
            UserError: the disk is full.
        """
        records = np.stack(words, axis=1)
        if not self._bits:
            _append(self._files[0], records)
            return
        places = (words[0] >> np.uint64(64 - self._bits)).astype(np.uint8)
        records = records[np.argsort(places, kind="stable")]
        ends = np.cumsum(np.bincount(places, minlength=len(self._files)))
        for file, start, end in zip(self._files, [0, *ends[:-1]], ends, strict=True):
            if end > start:
                _append(file, records[start:end])

    def equals(self) -> Iterator[npt.NDArray[np.uint64]]:
        """Records whose first word some other record has too, sorted, shape (records, words).

        Records with the same first word come together; nothing comes where all are different.

        Raises:
            UserError: the disk is full.
        """
        for file in self._files:
            with temporary_room(_WHAT):
                file.flush()
            file.seek(0)
            records = np.fromfile(file, np.uint64).reshape(-1, self._words)
            first = np.sort(records[:, 0])
            repeated = first[1:][first[1:] == first[:-1]]
            if not len(repeated):
                continue
            found = records[np.isin(records[:, 0], repeated)]
            yield found[np.lexsort(found.T[::-1])]


def _append(file: BinaryIO, records: Words) -> None:
    # Not by tofile, which says nothing of what it could not write at the end.
    with temporary_room(_WHAT):
        file.write(records.data)
