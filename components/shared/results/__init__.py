"""What an evaluation measured, what a decision says, what was registered: the contract between
steps."""

from components.shared.results.base import Interval
from components.shared.results.champion import CHAMPION_RECORD, ChampionRecord
from components.shared.results.decision import (
    CandidateDecision,
    Check,
    Decision,
    Power,
    Registration,
    Verdict,
)
from components.shared.results.evaluation import (
    TRAINED_ARMS,
    ArmName,
    ArmResult,
    CandidateResult,
    ChampionState,
    Evaluation,
    SkippedCandidate,
)
from components.shared.results.latency import Footprint, Latency, Noise, Percentile, PercentileName
from components.shared.results.metrics import (
    CalibrationBin,
    ClassResult,
    Estimate,
    MetricName,
    PairedCounts,
    RocPoint,
    SliceResult,
)

__all__ = [
    "CHAMPION_RECORD",
    "TRAINED_ARMS",
    "ArmName",
    "ArmResult",
    "CalibrationBin",
    "CandidateDecision",
    "CandidateResult",
    "ChampionRecord",
    "ChampionState",
    "Check",
    "ClassResult",
    "Decision",
    "Estimate",
    "Evaluation",
    "Footprint",
    "Interval",
    "Latency",
    "MetricName",
    "Noise",
    "PairedCounts",
    "Percentile",
    "PercentileName",
    "Power",
    "Registration",
    "RocPoint",
    "SkippedCandidate",
    "SliceResult",
    "Verdict",
]
