"""What a check comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed", "unchecked"]
"""``unchecked``: it could not be looked at from here, which is no fault of the cluster's."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What, in a word or two."""
    status: Status
    said: str
    """What was found."""
    advice: str = ""
    """What to do; empty where there is nothing to."""


def any_failed(findings: Sequence[Finding]) -> bool:
    """Whether a run would break on something."""
    return any(finding.status == "failed" for finding in findings)
