"""Response-based objectives: losses on the student's logits."""

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


def distillation_loss(
    logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, weight: float
) -> Tensor:
    """(1 - weight) · CE + weight · T² · KL, averaged over the rows of the batch.

    Rows without a label have no first term. Both terms are divided by the number of all rows, so
    that the loss of a batch is the mean over its microbatches.

    Args:
        logits: the student's, shape (rows, classes).
        teacher_logits: the teacher's, shape (rows, classes).
        labels: class indices, shape (rows,); -1 where there is none.
        temperature: T > 0.
        weight: share of the teacher, 0 to 1.
    """
    loss = weight * soft_label_divergence(logits, teacher_logits, temperature)
    if weight < 1:
        hard = F.cross_entropy(logits, labels, ignore_index=-1, reduction="none")
        loss = loss + (1 - weight) * hard
    return torch.mean(loss)
