"""What a decision says, and what registration did with it."""

from typing import Literal

from components.shared.results.base import Result
from components.shared.results.evaluation import CandidateName

Verdict = Literal["promote", "reject"]


class Check(Result):
    """One gate: what was seen, how sure that is, what was asked."""

    gate: str
    """Path in the recipe, such as ``gates.latency.p95_ms``."""
    observed: float | None
    bound: float | None
    """One-sided confidence bound of the observed value, which is what is judged."""
    threshold: float
    direction: Literal["at least", "at most", "above"]
    """What the bound has to be with respect to the threshold."""
    passed: bool
    reason: str
    """One sentence."""


class CandidateDecision(Result):
    """One deployable form of the student, judged."""

    name: str
    passed: bool
    checks: list[Check]


class Power(Result):
    """What this test set can tell about a regression against the champion."""

    rows: int
    discordance: float
    """Share of the rows on which only one of the two models is right."""
    margin: float
    """The recipe's ``gates.champion.max_regression``."""
    detectable: float
    """The smallest margin at which a student as good as the champion passes 80 times of 100."""
    power: float
    """Probability that a student as good as the champion passes at the recipe's margin."""
    rows_needed: int | None
    """Test rows at which that probability is 80 %; null where no number within reach is enough, as
    with a margin of 0."""

    @property
    def sufficient(self) -> bool:
        """Whether an equal student passes 80 times of 100."""
        return self.power >= 0.8


class Decision(Result):
    """The verdict and every check behind it."""

    format_version: Literal[2] = 2
    verdict: Verdict
    summary: str
    """One sentence for people."""
    candidate: CandidateName
    """The candidate that is to be deployed; after a rejection, the one that came closest."""
    checks: list[Check]
    """Of that candidate."""
    candidates: list[CandidateDecision]
    """Every candidate, in the order of the recipe."""
    confidence: float
    """Level of each bound: the policy's, adjusted for the number of candidates."""
    power: Power | None
    """Null where no champion was measured, or the policy does not compare with it."""
    warnings: list[str]
    """Whole sentences about what the verdict rests on: a small test set, a noisy machine."""
    dataset_digest: str
    student_digest: str
    """The ONNX file of that candidate, and the only one that may be promoted."""
    champion_version: str | None
    """The champion that the student was compared with."""


Outcome = Literal["promoted", "challenger", "rejected", "champion_moved", "dry_run"]
"""What became of a student. ``challenger``: it waits for approval. ``champion_moved``: another one
was promoted while it was measured, so it is to be measured again. ``dry_run``: nothing was done."""


class Registration(Result):
    """Where a pipeline run is recorded, and what it changed in the registry."""

    format_version: Literal[2] = 2
    verdict: Verdict
    outcome: Outcome
    summary: str
    """One sentence for people: what was done, or would have been."""
    run_id: str
    """The pipeline run."""
    mlflow_run_id: str
    tracking_uri: str
    """Without credentials."""
    model: str
    version: str | None
    """The registered version; null where none was made."""
    alias: str | None
    """The alias that was pointed at it."""
    former_version: str | None
    """The champion that it took over from, if there was one."""
    record_digest: str | None
    """SHA-256 of the record in the model's history, to hold that history against."""
