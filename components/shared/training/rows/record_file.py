"""A record file: rows of a fixed size, read in chunks that are checked against their sums.

A folder with ``records`` and ``index``. It is read with ``pread`` and not mapped, so that what
was read counts as the kernel's cache and not as the process's memory.
"""

import os
import shutil
import weakref
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from components.shared.errors import StorageFailed
from components.shared.training.rows.layout import RecordLayout, Records
from components.shared.training.rows.sealed import read_sealed, write_sealed

RECORDS = "records"
INDEX = "index"
_CHUNK_BYTES = 2**17


class RecordIndex(BaseModel):
    """What a record file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    layout: RecordLayout
    rows: int
    labelled: int
    """Rows with a label."""
    chunk_rows: int
    checksums: list[int]
    """CRC-32 of each chunk of ``chunk_rows`` rows; the last may have fewer."""


def chunk_rows(layout: RecordLayout) -> int:
    """Rows of a chunk."""
    return max(1, _CHUNK_BYTES // layout.dtype.itemsize)


def write_records(folder: Path, layout: RecordLayout, parts: Iterable[Records]) -> RecordIndex:
    """Write a record file into a folder that exists.

    Raises:
        OSError: the disk is full.
    """
    size = chunk_rows(layout)
    chunk_bytes = size * layout.dtype.itemsize
    waiting = bytearray()
    rows = labelled = 0
    checksums = []
    with (folder / RECORDS).open("wb") as file:

        def write(data: bytes | bytearray) -> None:
            checksums.append(zlib.crc32(data))
            file.write(data)

        for part in parts:
            rows += len(part)
            labelled += int((part["label"] >= 0).sum())
            waiting += _bytes(part)
            whole = len(waiting) // chunk_bytes * chunk_bytes
            for start in range(0, whole, chunk_bytes):
                write(waiting[start : start + chunk_bytes])
            del waiting[:whole]
        if waiting:
            write(waiting)
    index = RecordIndex(
        layout=layout, rows=rows, labelled=labelled, chunk_rows=size, checksums=checksums
    )
    write_sealed(folder / INDEX, index)
    return index


class RecordFile:
    """A record file that is open for reading, by any number of threads."""

    def __init__(self, folder: Path) -> None:
        """Open it.

        Raises:
            FileNotFoundError: there is none, or its index is damaged.
        """
        index = read_sealed(folder / INDEX, RecordIndex)
        if index is None:
            raise FileNotFoundError(f"{folder}: no record file")
        self.folder = folder
        self.index = index
        self.dtype = self.index.layout.dtype
        self._descriptor = os.open(folder / RECORDS, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self.index.checksums)

    def rows_of(self, chunk: int) -> range:
        """The numbers of the rows of a chunk."""
        start = chunk * self.index.chunk_rows
        return range(start, min(start + self.index.chunk_rows, self.index.rows))

    def read(self, chunks: Sequence[int]) -> Records:
        """The rows of some chunks, one after the other.

        Raises:
            StorageFailed: the file is damaged.
        """
        ranges = [self.rows_of(chunk) for chunk in chunks]
        records: Records = np.empty(sum(map(len, ranges)), self.dtype)
        into = _bytes(records)
        start = 0
        for chunk, rows in zip(chunks, ranges, strict=True):
            stop = start + len(rows) * self.dtype.itemsize
            self._read(chunk, rows.start * self.dtype.itemsize, into[start:stop])
            start = stop
        return records

    def _read(self, chunk: int, offset: int, into: memoryview) -> None:
        done = 0
        while done < len(into):
            count = os.preadv(self._descriptor, [into[done:]], offset + done)
            if not count:
                break
            done += count
        if done < len(into) or zlib.crc32(into) != self.index.checksums[chunk]:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise StorageFailed(
                f"{self.folder / RECORDS}: rows {offset // self.dtype.itemsize} and following are "
                "damaged on this disk; the file was removed, and the next attempt makes it anew"
            )


def _bytes(records: Records) -> memoryview:
    return memoryview(records.view(np.uint8).data)
