"""Running a teacher over rows in batches that fit into memory."""

import numpy as np
import torch

from components.shared import events
from components.shared.errors import UserError
from components.soft_labels.planning import batch_rows
from components.soft_labels.teachers.checking import UnusableRowError, ran_out_of_memory
from components.soft_labels.teachers.protocol import Array, Teacher

_SHARE_OF_FREE_MEMORY = 0.5
"""That a batch may take; the rest is for what differs from batch to batch."""
_MOST_ROWS = 8_192


_NO_PRIMITIVE = "could not create a primitive"
"""What torch says, and nothing more, where oneDNN finds too little memory for an operation."""


class BatchedTeacher:
    """A teacher that is asked for as many rows at once as fit into memory.

    On a CPU the rows of a batch depend on the rows' size alone. On a GPU they are found by trying.
    Where memory runs out nevertheless, batches are halved from then on.
    """

    def __init__(self, teacher: Teacher, rows: int | None = None) -> None:
        """Take ``rows`` rows at once to begin with; by default as many as are found to be good."""
        self.rows = rows or batch_rows(teacher.input.shape)
        self.classes = len(teacher.classes)
        self._teacher = teacher
        self._to_be_probed = rows is None and torch.cuda.is_available()

    def logits(self, inputs: Array) -> Array:
        """Logits of shape (rows, classes) for raw inputs of shape (rows, \\*input shape).

        Raises:
            UnusableRowError: the model's output for a row is of no use.
            UserError: there is too little memory for one row.
        """
        if self._to_be_probed and len(inputs) >= self.rows:
            self.rows = self._probed(inputs)
            self._to_be_probed = False
        found = np.empty((len(inputs), self.classes), np.float32)
        done = 0
        while done < len(inputs):
            batch = inputs[done : done + self.rows]
            try:
                found[done : done + len(batch)] = self._teacher.logits(batch)
            except UnusableRowError as error:
                raise UnusableRowError(done + error.row, error.problem) from error
            except Exception as error:
                if not ran_out_of_memory(error) and _NO_PRIMITIVE not in str(error):
                    raise
                self._halve(error)
            else:
                done += len(batch)
        return found

    def _halve(self, error: Exception) -> None:
        if self.rows == 1:
            raise UserError(
                "the teacher needs more memory for a single row than there is: give the step "
                f"more, or take a smaller teacher ({' '.join(str(error).split())[:200]})"
            ) from error
        self.rows //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        events.emit("batch_halved", rows=self.rows, reason="out of memory")

    def _probed(self, inputs: Array) -> int:
        """Rows that fit into the GPU's memory, judged by what a small batch takes there."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        try:
            self._teacher.logits(inputs[: self.rows])
        except torch.OutOfMemoryError:
            return self.rows  # and halved at the first batch
        taken = torch.cuda.max_memory_allocated() - before
        free, _ = torch.cuda.mem_get_info()
        rows = fitting_rows(taken, self.rows, free)
        events.emit("batch_size", rows=rows, bytes_per_row=taken // self.rows, free_bytes=free)
        return rows


def fitting_rows(taken: int, rows: int, free: int) -> int:
    """Rows of a batch that may take half of the free memory: a power of two times ``rows``.

    Args:
        taken: bytes that a batch of ``rows`` rows took; 0 if the teacher is not on the GPU.
        rows: of that batch, fewest that are returned.
        free: bytes.
    """
    if not taken:
        return rows
    fitting = rows
    while fitting < _MOST_ROWS and 2 * fitting * taken <= _SHARE_OF_FREE_MEMORY * free * rows:
        fitting *= 2
    return fitting
