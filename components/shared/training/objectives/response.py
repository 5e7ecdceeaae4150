"""Response-based objectives: losses on the student's logits, one value for each row."""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy with hard labels.

    Args:
        logits: shape (rows, classes).
        labels: class indices, shape (rows,).
    """
    return F.cross_entropy(logits, labels)


def soft_label_divergence(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(student / T)), Hinton et al., arXiv 1503.02531.

    Args:
        logits: the student's, shape (rows, classes).
        teacher_logits: the teacher's, shape (rows, classes).
        temperature: T > 0; T² keeps the gradient's scale independent of it.

    Returns:
        One value a row, shape (rows,), at least 0; 0 where both agree up to a constant.
    """
    student = F.log_softmax(logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits / temperature, dim=1)
    return (teacher.exp() * (teacher - student)).sum(dim=1) * temperature**2


def soft_cross_entropy(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """-T² · Σ softmax(teacher / T) · log softmax(student / T), arXiv 1503.02531.

    Args:
        logits: the student's, shape (rows, classes).
        teacher_logits: the teacher's, shape (rows, classes).
        temperature: T > 0.

    Returns:
        One value a row, shape (rows,); smallest where both agree up to a constant, where it is T²
        times the entropy of the teacher.
    """
    student = F.log_softmax(logits / temperature, dim=1)
    teacher = F.softmax(teacher_logits / temperature, dim=1)
    return -(teacher * student).sum(dim=1) * temperature**2


class Decoupled(NamedTuple):
    """The two parts of decoupled distillation, each of shape (rows,) and at least 0."""

    target: Tensor
    """T² · KL between (p_t, 1 - p_t) of teacher and student, called TCKD."""
    others: Tensor
    """T² · KL between the distributions over all classes but t, called NCKD; 0 for two classes."""


def decoupled_divergence(
    logits: Tensor, teacher_logits: Tensor, targets: Tensor, temperature: float
) -> Decoupled:
    """The divergence of a row in two parts: KL = TCKD + (1 - p_t) · NCKD, with the teacher's p_t.

    Zhao et al., arXiv 2203.08679, equations 5 to 7. The probability of all other classes together
    is taken from their logits, and so is right however close to 0 or 1 it is.

    Args:
        logits: the student's, shape (rows, classes), of two classes or more.
        teacher_logits: the teacher's, shape (rows, classes).
        targets: class t of each row, shape (rows,).
        temperature: T > 0.
    """
    numbers = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = numbers + (numbers >= targets[:, None])
    student = _against_others(logits / temperature, targets, others)
    teacher = _against_others(teacher_logits / temperature, targets, others)
    given = torch.stack([F.logsigmoid(teacher.odds), F.logsigmoid(-teacher.odds)])
    found = torch.stack([F.logsigmoid(student.odds), F.logsigmoid(-student.odds)])
    shares = teacher.others.exp()
    return Decoupled(
        target=(given.exp() * (given - found)).sum(dim=0) * temperature**2,
        others=(shares * (teacher.others - student.others)).sum(dim=1) * temperature**2,
    )


class _AgainstOthers(NamedTuple):
    odds: Tensor
    """log(p_t / (1 - p_t)), shape (rows,)."""
    others: Tensor
    """Logarithms of the probabilities of the other classes among themselves, shape
    (rows, classes - 1)."""


def _against_others(logits: Tensor, targets: Tensor, others: Tensor) -> _AgainstOthers:
    own, rest = logits.gather(1, targets[:, None]), logits.gather(1, others)
    together = rest.logsumexp(dim=1, keepdim=True)
    return _AgainstOthers((own - together).squeeze(1), rest - together)


def squared_distance(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """½ · ‖student - teacher‖², Ba & Caruana, arXiv 1312.6184, equation 1.

    Args:
        logits: the student's, shape (rows, classes).
        teacher_logits: the teacher's, shape (rows, classes).

    Returns:
        One value a row, shape (rows,), at least 0.
    """
    return ((logits - teacher_logits) ** 2).sum(dim=1) / 2


def pseudo_label_entropy(logits: Tensor, teacher_logits: Tensor, threshold: float) -> Tensor:
    """Cross-entropy with the teacher's first choice, where its probability reaches a threshold.

    Lee (ICML workshop 2013); the threshold as in Sohn et al., arXiv 2001.07685, equation 4.

    Args:
        logits: the student's, shape (rows, classes).
        teacher_logits: the teacher's, shape (rows, classes).
        threshold: 0 to 1.

    Returns:
        One value a row, shape (rows,); 0 where the teacher is less sure than that.
    """
    confidence, choice = F.softmax(teacher_logits, dim=1).max(dim=1)
    loss = F.cross_entropy(logits, choice, reduction="none")
    return torch.where(confidence >= threshold, loss, 0.0)
