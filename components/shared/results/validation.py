"""What a validation found: the contract of ``validation.json``, which validate_data writes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from components.shared.recipe.expectations import RowPolicy

VALIDATION = "validation.json"
QUARANTINE = "quarantine.parquet"

Status = Literal["passed", "failed", "warned", "quarantined"]


def status_of(policy: RowPolicy) -> Status:
    """What becomes of a check that does not hold."""
    statuses: dict[RowPolicy, Status] = {
        "fail": "failed",
        "warn": "warned",
        "quarantine": "quarantined",
    }
    return statuses[policy]


class CheckResult(BaseModel):
    """One expectation and what came of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Short, as in ``validation.policies``; several checks may have the same."""
    expectation: str
    """Great Expectations' name of it, such as ``expect_column_values_to_be_unique``."""
    column: str | None
    """Column of the data set, where the check is about one."""
    status: Status
    """``failed`` ends the run; ``warned`` and ``quarantined`` (the rows were taken out) do not."""
    message: str
    """In plain words: what holds, or what is wrong, where, and what to do."""
    observed: int | float | str | None
    """The measured value, or the number of offending rows."""

    @property
    def success(self) -> bool:
        """Whether what was expected holds."""
        return self.status == "passed"


class ValidationResult(BaseModel):
    """All checks of one data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[2] = 2
    success: bool
    """Whether no check failed; some may have warned."""
    dataset_digest: str
    """Of the data set that was looked at."""
    checked_digest: str
    """Of the data set without the rows that were taken out; the same where there are none."""
    suite_hash: str
    """SHA-256 over all expectations with their limits and policies."""
    checks: list[CheckResult]
    rows: dict[str, int]
    """Rows of each split that are left."""
    quarantined: int
    """Rows that were taken out; with those left they add up to the rows of the data set."""
    notes: list[str]
    """What was not looked at, and why."""

    @property
    def failures(self) -> list[CheckResult]:
        """The checks that end the run."""
        return self._with("failed")

    @property
    def warnings(self) -> list[CheckResult]:
        """The checks that do not hold, and are warned of only."""
        return self._with("warned")

    @property
    def quarantines(self) -> list[CheckResult]:
        """The checks for which rows were taken out."""
        return self._with("quarantined")

    @property
    def remarks(self) -> list[str]:
        """What a person should know of data that were let through."""
        taken = f"{self.quarantined:,} rows of the data were taken out"
        return [
            *([taken] if self.quarantined else []),
            *(check.message for check in (*self.quarantines, *self.warnings)),
            *self.notes,
        ]

    def _with(self, status: Status) -> list[CheckResult]:
        return [check for check in self.checks if check.status == status]
