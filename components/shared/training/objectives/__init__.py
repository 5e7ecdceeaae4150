"""Training objectives: pure functions of logits and targets."""

from components.shared.training.objectives.response import (
    cross_entropy,
    distillation_loss,
    soft_label_divergence,
)

__all__ = ["cross_entropy", "distillation_loss", "soft_label_divergence"]
