"""One pass over the test rows: every batch goes through all models, then into their sums.

Worker threads run the models, and score what they predict; this thread reads the next batches and
adds up. ONNX Runtime and NumPy let go of Python's lock while they work, so that all cores are busy
with models, with whole batches each.
"""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from components.evaluation.measuring.deployed import DeployedModel
from components.evaluation.measuring.metrics import PairTally, Predictions, Scored, Tally, score
from components.evaluation.measuring.ranking import FINEST
from components.evaluation.measuring.slices import Slicing
from components.shared.dataset import UNLABELLED, Dataset, Rows
from components.shared.errors import UserError

_MOST_THREADS = 8
_BATCH_VALUES = 2**18
"""Inputs, or probabilities, of a batch; more would not stay in the processor's caches."""
_BATCH_ROWS = (16, 4096)
_MOST_DETAILED = 100
"""Classes up to which slices have confusion matrix and AUROC."""
_SAMPLE_ROWS = 1000
_SAMPLE_BYTES = 2**26

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Pair = tuple[str, str]


@dataclass(frozen=True)
class Pass:
    """What is wanted of the pass."""

    models: Mapping[str, DeployedModel]
    teacher: str
    """The model that the others are held against."""
    may_break: Collection[str]
    """Models that are left out if they break, and do not end the pass."""
    slicings: Sequence[Slicing]
    pairs: Collection[Pair]
    """Models that are compared row by row; the first is the ``student`` of the counts."""


@dataclass
class Scores:
    """What the pass found."""

    rows: int
    whole: dict[str, Tally]
    """All rows, by model."""
    sliced: dict[str, list[Tally]]
    """By model, one for each slicing."""
    pairs: dict[Pair, PairTally]
    sample: npt.NDArray[np.float32]
    """Inputs of up to 1,000 rows spread evenly over the split."""
    broken: dict[str, str] = field(default_factory=dict)
    """Models that broke, with the reason; their sums mean nothing."""


def score_rows(dataset: Dataset, wanted: Pass, batch_rows: int | None = None) -> Scores:
    """Run all models on all test rows.

    Memory does not grow with the rows.

    Args:
        dataset: the data set, with at least one test row.
        wanted: the models and what is asked of them.
        batch_rows: rows of a batch; by default what suits the size of a row.

    Raises:
        UserError: a model that may not break does, a test row has no label, or the data cannot be
            read.
    """
    manifest = dataset.manifest
    values = max(int(np.prod(manifest.input.shape)), len(manifest.classes))
    size = batch_rows or int(np.clip(_BATCH_VALUES // values, *_BATCH_ROWS))
    scores = _empty(wanted, len(manifest.classes))
    sample = _Sample(manifest.rows["test"])
    threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    batches = _labelled(dataset, wanted, size)
    with ThreadPoolExecutor(threads) as pool:
        for rows, outcome in _ahead(pool, partial(_run, wanted), batches, threads + 1):
            sample.update(rows)
            _add(scores, wanted, rows, outcome)
    scores.sample = sample.inputs
    return scores


def _empty(wanted: Pass, classes: int) -> Scores:
    # Finer than this, counting a batch would cost more than running a small model on it.
    bins = FINEST if classes == 2 else _power_of_two(2**19 // classes, 256, 4096)
    coarse = _power_of_two(2**13 // classes, 64, 512) if classes <= _MOST_DETAILED else 0
    return Scores(
        rows=0,
        whole={name: Tally(1, classes, bins) for name in wanted.models},
        sliced={
            name: [Tally(len(slicing.names), classes, coarse) for slicing in wanted.slicings]
            for name in wanted.models
        },
        pairs={pair: PairTally() for pair in wanted.pairs},
        sample=np.empty(0, np.float32),
    )


def _power_of_two(number: int, least: int, most: int) -> int:
    """The largest power of two up to ``number``, within bounds that are powers of two."""
    return min(max(1 << (max(number, 1).bit_length() - 1), least), most)


def _labelled(dataset: Dataset, wanted: Pass, size: int) -> Iterator[Rows]:
    columns = [slicing.column for slicing in wanted.slicings]
    for rows in dataset.batches("test", rows=size, columns=columns):
        without_label = rows.labels == UNLABELLED
        if without_label.any():
            raise UserError(
                f"{dataset.manifest.source}: test row {rows.ids[int(without_label.argmax())]!r} "
                "has no label; put rows without a label in the unlabelled split"
            )
        yield rows


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Outcome],
    items: Iterable[Item],
    depth: int,
) -> Iterator[tuple[Item, Outcome]]:
    """Items in their order, with what the pool made of each, up to ``depth`` at work at a time."""
    waiting: deque[tuple[Item, Future[Outcome]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(work, item)))
        if len(waiting) > depth:
            done, future = waiting.popleft()
            yield done, future.result()
    for done, future in waiting:
        yield done, future.result()


def _run(wanted: Pass, rows: Rows) -> dict[str, Scored | UserError]:
    """What all models make of a batch, or why one of those that may break did."""
    teacher = Predictions.of(wanted.models[wanted.teacher].predict(rows))
    outcome: dict[str, Scored | UserError] = {wanted.teacher: score(teacher, rows.labels, teacher)}
    for name, model in wanted.models.items():
        if name == wanted.teacher:
            continue
        try:
            outcome[name] = score(Predictions.of(model.predict(rows)), rows.labels, teacher)
        except UserError as error:
            if name not in wanted.may_break:
                raise
            outcome[name] = error
    return outcome


def _add(
    scores: Scores, wanted: Pass, rows: Rows, outcome: Mapping[str, Scored | UserError]
) -> None:
    """Add a batch to the sums of every model that did not break on it."""
    scores.rows += len(rows)
    scored: dict[str, Scored] = {}
    for name, found in outcome.items():
        if isinstance(found, UserError):
            scores.broken.setdefault(name, str(found))
        else:
            scored[name] = found
    everything = np.zeros(len(rows), np.int64)
    for name, found in scored.items():
        scores.whole[name].update(everything, found)
    for place, slicing in enumerate(wanted.slicings):
        codes = slicing.codes(rows.columns[slicing.column])
        for name, found in scored.items():
            scores.sliced[name][place].update(codes, found)
    for (first, second), tally in scores.pairs.items():
        if first in scored and second in scored:
            tally.update(scored[first], scored[second])


class _Sample:
    """Inputs of rows that are spread evenly over the split."""

    def __init__(self, rows: int) -> None:
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
