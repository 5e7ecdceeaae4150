"""Contrastive objective: which of many rows is the one that the teacher saw.

Tian et al., arXiv 1910.10699, with the noise-contrastive estimate of the authors' code.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from components.shared.training.hidden import Tap
from components.shared.training.objectives.composing import Term
from components.shared.training.objectives.layers import widened
from components.shared.training.step import Step

_NOTHING = 1e-30


def contrast(ratios: Tensor, same: Tensor, others: Tensor, population: int) -> Tensor:
    """-log h(the row) - Σ log(1 - h(another)) with h(x) = x / (x + N / M), arXiv 1910.10699,
    equations 10 and 19.

    Args:
        ratios: product of the embeddings of each row and each candidate, over the temperature, less
            log Z: the logarithm of x, shape (rows, candidates).
        same: which candidate is the row itself, one a row, shape (rows, candidates).
        others: which ones are other rows; what is neither counts for nothing.
        population: M, rows of the training set; N is how many ``others`` a row has.

    Returns:
        One value a row, shape (rows,), at least 0.
    """
    share = others.sum(dim=1, keepdim=True) / population
    noise = share.clamp(min=_NOTHING).log()
    missed = torch.where(same, F.softplus(noise - ratios), 0.0)
    mistaken = torch.where(others, F.softplus(ratios - noise), 0.0)
    return (missed + mistaken).sum(dim=1)


class Contrast(Term):
    """CRD: the row's embeddings by student and teacher against those of other rows, both ways.

    Embeddings are learned projections of one layer each, of norm 1. Negatives are the other rows of
    the batch, and rows of the batches before, which a memory has as they were embedded then. Unlike
    in the authors' code, the memory is a queue and not a slot for every row of the data set, so
    that it is bounded; the positive is this step's embedding, and not a running mean of earlier
    ones. Z is the mean of what the first step finds, times the rows of the training set, as there.
    """

    memory: Tensor
    """Embeddings by student and teacher, shape (2, negatives, dims)."""
    remembered: Tensor
    """Positions of their rows in the data set, shape (negatives,); -1 where there is none yet."""
    log_z: Tensor
    """Logarithm of Z for rows of the student among the teacher's, and the other way; shape (2,)."""
    steps: Tensor
    """How many were done, a scalar."""

    def __init__(
        self,
        taps: tuple[Tap, Tap],
        widths: tuple[int, int],
        dims: int,
        temperature: float,
        negatives: int,
        population: int,
    ) -> None:
        """Empty the memory, and draw projections.

        Args:
            taps: layer of the student, and of the teacher.
            widths: of the layers when flattened.
            dims: of the embeddings.
            temperature: above 0.
            negatives: rows in the memory.
            population: rows of the training set.
        """
        super().__init__()
        self.student_taps, self.teacher_taps = (taps[0],), (taps[1],)
        self._temperature, self._population = temperature, population
        self._projections = nn.ModuleList(nn.Linear(width, dims) for width in widths)
        self.register_buffer("memory", torch.zeros(2, negatives, dims))
        self.register_buffer("remembered", torch.full((negatives,), -1))
        self.register_buffer("log_z", torch.zeros(2))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, step: Step) -> Tensor:
        """Mean over the rows of both contrasts, a scalar; the batch goes into the memory."""
        layers = step.hidden[self.student_taps[0]], step.teacher.hidden[self.teacher_taps[0]]
        pair = [
            step.whole(F.normalize(widened(projection(layer.flatten(1))), dim=1))
            for projection, layer in zip(self._projections, layers, strict=True)
        ]
        positions = step.batch.positions.to(self.remembered.device)
        candidates = torch.cat([positions, self.remembered])
        same = torch.zeros(len(positions), len(candidates), dtype=torch.bool, device=pair[0].device)
        same.fill_diagonal_(True)
        others = (candidates != positions[:, None]) & (candidates >= 0)
        known = others | same
        scores = [
            pair[own] @ torch.cat([pair[1 - own], self.memory[1 - own]]).T / self._temperature
            for own in (0, 1)
        ]
        if self.steps == 0:
            self.log_z.copy_(torch.stack([self._mean_of(one, known) for one in scores]))
        value = torch.stack(
            [
                contrast(one - z, same, others, self._population).mean()
                for one, z in zip(scores, self.log_z, strict=True)
            ]
        )
        self._remember(pair, positions)
        return value.sum()

    @torch.no_grad()
    def _mean_of(self, scores: Tensor, known: Tensor) -> Tensor:
        """Logarithm of the population times the mean of exp(scores)."""
        total = torch.where(known, scores, -math.inf).flatten().logsumexp(dim=0)
        return total - known.sum().log() + math.log(self._population)

    @torch.no_grad()
    def _remember(self, pair: list[Tensor], positions: Tensor) -> None:
        size = len(self.remembered)
        last = positions[-size:]
        start = int(self.steps) * len(positions) % size
        places = (start + torch.arange(len(last), device=last.device)) % size
        self.memory[:, places] = torch.stack([one.detach()[-size:] for one in pair])
        self.remembered[places] = last
        self.steps += 1
