"""Batches of rows through worker threads, and a sample of what goes by; memory is bounded.

Worker threads run the models, and score what they predict; the thread that asks reads the next
batches and adds up. ONNX Runtime and NumPy let go of Python's lock while they work, so that all
cores are busy with models, with whole batches each.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from components.shared.dataset import DatasetManifest, Rows

_MOST_THREADS = 8
_BATCH_VALUES = 2**18
"""Inputs, or probabilities, of a batch; more would not stay in the processor's caches."""
_BATCH_ROWS = (16, 4096)
_SAMPLE_ROWS = 1000
_SAMPLE_BYTES = 2**26

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def rows_of_a_batch(manifest: DatasetManifest) -> int:
    """What suits the size of a row."""
    values = max(int(np.prod(manifest.input.shape)), len(manifest.classes))
    return int(np.clip(_BATCH_VALUES // values, *_BATCH_ROWS))


def in_threads(
    work: Callable[[Item], Outcome], items: Iterable[Item]
) -> Iterator[tuple[Item, Outcome]]:
    """Items in their order, each with what a worker thread made of it.

    Raises:
        Exception: what ``work`` raises, once the item in question is reached.
    """
    threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        yield from _ahead(pool, work, items, threads + 1)


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Outcome],
    items: Iterable[Item],
    depth: int,
) -> Iterator[tuple[Item, Outcome]]:
    """Up to ``depth`` items are at work at a time."""
    waiting: deque[tuple[Item, Future[Outcome]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(work, item)))
        if len(waiting) > depth:
            done, future = waiting.popleft()
            yield done, future.result()
    for done, future in waiting:
        yield done, future.result()


class Sample:
    """Inputs of up to 1,000 rows that are spread evenly over all."""

    def __init__(self, rows: int) -> None:
        """Start from no row.

        Args:
            rows: how many there will be, at least one.
        """
        self._rows = rows
        self._seen = 0
        self._kept: list[npt.NDArray[np.float32]] = []

    def update(self, rows: Rows) -> None:
        """See a batch, and keep its share."""
        most = max(1, min(_SAMPLE_ROWS, _SAMPLE_BYTES // max(rows.inputs[0].nbytes, 1), self._rows))
        positions = np.arange(most) * self._rows // most - self._seen
        inside = positions[(positions >= 0) & (positions < len(rows))]
        self._kept.append(rows.inputs[inside])
        self._seen += len(rows)

    @property
    def inputs(self) -> npt.NDArray[np.float32]:
        """Of all rows that were kept, shape (rows, \\*input shape)."""
        return np.concatenate(self._kept)
