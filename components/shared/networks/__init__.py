"""The built-in model families, with preprocessing as their first layer."""

from components.shared.networks.classifier import Classifier
from components.shared.networks.residual import BasicBlock
from components.shared.networks.transformer import Attention, Encoder, FeedForward

__all__ = ["Attention", "BasicBlock", "Classifier", "Encoder", "FeedForward"]
