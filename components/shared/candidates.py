"""The candidate set: every deployable form of the student, and which could not be made.

A folder with ``candidates.json`` and, for each form, a deployable folder by its name. ``float32``
is always there, as the reference; it may be deployed only where ``candidates`` names it.
"""

from pathlib import Path
from typing import Literal

from components.shared.files import write_atomically
from components.shared.records import read_record
from components.shared.results.base import Result
from components.shared.results.evaluation import CandidateName, SkippedCandidate

CANDIDATES = "candidates.json"
REFERENCE = "float32"


class CandidateDescription(Result):
    """One form that was made."""

    name: CandidateName
    """Also the name of its folder."""
    how: str
    """How it was made, in a few words, such as ``int8 weights and activations, 512 calibration
    rows``."""
    agreement: float
    """Share of the checked rows on which it predicts the class of the torch model it was made
    from."""


class CandidateSet(Result):
    """What ``compress_student`` made of the student."""

    format_version: Literal[1] = 1
    candidates: list[CandidateDescription]
    """In the order of the recipe; what may be deployed."""
    skipped: list[SkippedCandidate]


def read_candidates(folder: Path) -> CandidateSet:
    """Read the list of candidates.

    Raises:
        UserError: it is missing or not of this format.
    """
    return read_record(folder / CANDIDATES, CandidateSet, "candidate set")


def write_candidates(folder: Path, candidates: CandidateSet) -> None:
    """Write the list of candidates, when their folders are complete."""
    write_atomically(folder / CANDIDATES, candidates.model_dump_json(indent=2))
