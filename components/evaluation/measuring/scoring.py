"""One pass over the test rows: every batch goes through all models, then into their sums."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from components.evaluation.measuring.metrics import PairTally, Predictions, Scored, Tally, score
from components.evaluation.measuring.predictor import Predictor
from components.evaluation.measuring.ranking import FINEST
from components.evaluation.measuring.slices import Slicing
from components.evaluation.measuring.streaming import Sample, in_threads, rows_of_a_batch
from components.shared.dataset import UNLABELLED, Dataset, Rows
from components.shared.errors import UserError

_MOST_DETAILED = 100
"""Classes up to which slices have confusion matrix and AUROC."""
Pair = tuple[str, str]


@dataclass(frozen=True)
class Pass:
    """What is wanted of the pass."""

    models: Mapping[str, Predictor]
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
    scores = _empty(wanted, len(manifest.classes))
    sample = Sample(manifest.rows["test"])
    batches = _labelled(dataset, wanted, batch_rows or rows_of_a_batch(manifest))
    for rows, outcome in in_threads(partial(_run, wanted), batches):
        sample.update(rows)
        _add(scores, wanted, rows, outcome)
    scores.sample = sample.inputs
    return scores


def _empty(wanted: Pass, classes: int) -> Scores:
    bins = whole_bins(classes)
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


def whole_bins(classes: int) -> int:
    """Score bins of a :class:`Tally` over all rows; with more, counting a batch would cost more
    than running a small model on it."""
    return FINEST if classes == 2 else _power_of_two(2**19 // classes, 256, 4096)


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
