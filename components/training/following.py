"""How closely a network follows its teacher on given rows."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from components.shared.bundle import Candidate, Fit, Followed
from components.shared.networks import Classifier
from components.shared.training.distributed import ranks
from components.shared.training.rows import Batch, TrainingRows
from components.training.selection import some

_ROWS = 512
_BYTES = 2**24
"""What a network judges at once, at most; its layers may be many times as large as its input."""
_LOOKED_AT = 4096
"""Rows of a kind that say how the trained network follows its teacher, or a few more."""


@torch.inference_mode()
def answers(
    network: Classifier, rows: TrainingRows, shape: Sequence[int]
) -> Iterator[tuple[Tensor, Batch, slice]]:
    """Run a network on rows, in their order.

    Args:
        network: in evaluation mode.
        rows: the rows.
        shape: of one row's input.

    Yields:
        The classes that it gives this process's share of a batch, shape (its rows,); the batch; and
        the share.
    """
    most = max(1, _BYTES // (4 * math.prod(shape)))
    for batch in rows.in_order(min(_ROWS, most)):
        share = ranks().share(len(batch.labels))
        yield network(batch.inputs[share]).argmax(dim=1), batch, share


def teachers_choice(batch: Batch) -> Tensor:
    """The class that the teacher gives each row, shape (rows,)."""
    return batch.teacher_logits.argmax(dim=1)


def beside_the_chosen(
    candidates: Sequence[Candidate], agreed: Sequence[Tensor], chosen: int
) -> list[Candidate]:
    """Candidates with the rows on which they and the chosen one differ.

    Args:
        candidates: all.
        agreed: for each, which held-out rows it agrees with the teacher on, shape (rows,).
        chosen: place of the one that was chosen.
    """
    best = agreed[chosen]
    return [
        one.model_copy(
            update={"ahead": int((right & ~best).sum()), "behind": int((best & ~right).sum())}
        )
        for one, right in zip(candidates, agreed, strict=True)
    ]


def fit_of(network: Classifier, rows: TrainingRows, shape: Sequence[int], seed: int) -> Fit:
    """How a trained network follows its teacher, over some of the rows of each kind at random.

    Args:
        network: in evaluation mode.
        rows: that it was trained on, with the teacher's logits.
        shape: of one row's input.
        seed: decides which rows.
    """
    labelled = rows.labels() >= 0
    generator = torch.Generator().manual_seed(seed)

    def followed(kind: Tensor) -> Followed | None:
        return _followed(network, rows.part(some(kind, _LOOKED_AT, generator)), shape)

    return Fit(labelled=followed(labelled), unlabelled=followed(~labelled))


def _followed(network: Classifier, rows: TrainingRows, shape: Sequence[int]) -> Followed | None:
    if not len(rows):
        return None
    agreeing, confidence = 0, 0.0
    for given, batch, share in answers(network, rows, shape):
        agreeing += int((given == teachers_choice(batch)[share]).sum())
        confidence += float(batch.teacher_logits.softmax(dim=1).amax(dim=1).sum())
    return Followed(
        rows=len(rows), agreeing=ranks().total(agreeing), confidence=confidence / len(rows)
    )
