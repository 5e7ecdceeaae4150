"""What was found of a challenger and the champion, before it is put into words."""

from dataclasses import dataclass

from components.evaluation.comparing.judge import Judgement
from components.shared.results import (
    Agreement,
    ClassShift,
    ComparedModel,
    FreshRows,
    LabelledComparison,
    Noise,
)
from components.shared.results.comparison import Role


@dataclass(frozen=True)
class Findings:
    """Everything that sentences are about."""

    models: dict[Role, ComparedModel]
    rows: FreshRows
    labelled: LabelledComparison | None
    agreement: Agreement
    shifts: list[ClassShift]
    noise: Noise
    judgement: Judgement
