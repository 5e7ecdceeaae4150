"""The rows that a training reads: small sets as tensors in memory, larger ones from a record file.

Which of the two is decided by size (:mod:`opening`); training code sees :class:`TrainingRows`.
"""

from components.shared.training.rows.memory import MemoryRows
from components.shared.training.rows.protocol import Batch, BatchSource, TrainingRows

__all__ = ["Batch", "BatchSource", "MemoryRows", "TrainingRows"]
