"""What a validation found: the contract of ``result``, the JSON that validate_data writes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class CheckResult(BaseModel):
    """One expectation and what came of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expectation: str
    """Great Expectations' name of it, such as ``expect_column_values_to_be_unique``."""
    column: str | None
    """Column of the data set, where the check is about one."""
    success: bool
    message: str
    """In plain words: what holds, or what is wrong, where, and what to do."""
    observed: int | float | str | None
    """The measured value, or the number of offending rows."""


class ValidationResult(BaseModel):
    """All checks of one data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    success: bool
    dataset_digest: str
    suite_hash: str
    """SHA-256 over all expectations with their limits."""
    checks: list[CheckResult]

    @property
    def failures(self) -> list[CheckResult]:
        """The checks that did not pass."""
        return [check for check in self.checks if not check.success]
