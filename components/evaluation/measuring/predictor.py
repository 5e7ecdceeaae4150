"""What the pass over the test rows asks of a model, wherever its answers come from."""

from typing import Protocol

from components.evaluation.measuring.metrics import Probabilities
from components.shared.dataset import Rows


class Predictor(Protocol):
    """A model, or what is kept of one."""

    def predict(self, rows: Rows) -> Probabilities:
        """Class probabilities of rows that follow each other, shape (rows, classes)."""
