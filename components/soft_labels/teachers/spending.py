"""How fast an endpoint may be asked, and how much that may cost."""

import threading
from dataclasses import dataclass, field

from components.shared.errors import UserError
from components.shared.recipe.teacher import Budget


class Pace:
    """Spreads rows over time: no more than a number of them a second.

    A request may start once all before it have had their share of time, so that there are no
    bursts, not even after a pause.
    """

    def __init__(self, rows_per_s: float | None) -> None:
        """Start from a pause.

        Args:
            rows_per_s: null for no limit.
        """
        self._rows_per_s = rows_per_s
        self._free_at = 0.0
        self._lock = threading.Lock()

    def delay(self, rows: int, now: float) -> float:
        """Take a place for so many rows.

        Args:
            rows: of the request.
            now: the time, in seconds of a clock that never goes back.

        Returns:
            Seconds to wait before it may be sent.
        """
        if self._rows_per_s is None:
            return 0.0
        with self._lock:
            start = max(self._free_at, now)
            self._free_at = start + rows / self._rows_per_s
            return start - now


class BudgetSpent(UserError):  # noqa: N818 - reads as an event
    """The recipe allows no further request."""


@dataclass
class Spending:
    """What was spent so far, against the recipe's budget."""

    budget: Budget
    requests: int = 0
    rows: int = 0
    """In requests that were sent first; those of a request that is tried again count once."""
    seconds: float = 0.0
    answered_rows: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, rows: int) -> None:
        """Before a request is sent.

        Args:
            rows: of it; 0 where it is tried again.

        Raises:
            BudgetSpent: it would exceed the budget.
        """
        budget = self.budget
        with self._lock:
            self._check("requests", budget.requests, self.requests + 1)
            self._check("rows", budget.rows, self.rows + rows)
            if budget.seconds is not None and self.seconds >= budget.seconds:
                self._refuse("seconds", budget.seconds)
            self.requests += 1
            self.rows += rows

    def end(self, seconds: float, answered_rows: int) -> None:
        """After a request, answered or not."""
        with self._lock:
            self.seconds += seconds
            self.answered_rows += answered_rows

    def _check(self, name: str, limit: int | None, wanted: int) -> None:
        if limit is not None and wanted > limit:
            self._refuse(name, limit)

    def _refuse(self, name: str, limit: float) -> None:
        raise BudgetSpent(
            f"teacher.budget.{name} ({limit:,g}) is spent: {self.answered_rows:,} rows were "
            f"answered in {self.requests:,} requests and {self.seconds:,.1f} s. Shards of the "
            "soft-label store that are whole stay (labelling.shard_rows makes them smaller); raise "
            "the budget, or run again with the same one, to label the rest"
        )
