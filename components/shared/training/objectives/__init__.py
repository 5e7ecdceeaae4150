"""Training objectives: pure functions of logits and targets, and the loss that is made of them."""

from components.shared.training.objectives.correlations import Relations
from components.shared.training.objectives.distillation import DistillationLoss
from components.shared.training.objectives.labels import label_entropy, mean_label_entropy
from components.shared.training.objectives.response import (
    cross_entropy,
    decoupled_divergence,
    pseudo_label_entropy,
    soft_cross_entropy,
    soft_label_divergence,
    squared_distance,
)
from components.shared.training.objectives.standardising import standardised

__all__ = [
    "DistillationLoss",
    "Relations",
    "cross_entropy",
    "decoupled_divergence",
    "label_entropy",
    "mean_label_entropy",
    "pseudo_label_entropy",
    "soft_cross_entropy",
    "soft_label_divergence",
    "squared_distance",
    "standardised",
]
