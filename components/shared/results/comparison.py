"""What a challenger and the champion say of fresh rows: the contract between the steps that collect
the rows, compare the two models, and attach the result to the challenger."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from components.shared.results.base import Result
from components.shared.results.decision import Power
from components.shared.results.latency import Latency, Noise
from components.shared.results.metrics import Estimate, MetricName, PairedCounts

FRESH_ROWS = "fresh_rows.json"
COMPARISON = "comparison.json"
COMPARISON_PAGE = "comparison.html"

Role = Literal["champion", "challenger"]
Recommendation = Literal["supports", "against", "inconclusive"]
Count = Annotated[int, Field(ge=0)]


class KnownRows(Result):
    """Rows, among the fresh ones, that a model was trained or tested on."""

    role: Role
    dataset_digest: str
    """Of the data that the model was trained and tested on."""
    rows: Count | None
    """Found by their ids; null where these are not to be had."""
    why_unknown: str
    """Why they are not, as the end of a sentence; empty where they are."""


class FreshRows(Result):
    """Where fresh rows come from, and which of them are left out. It lies beside the manifest of
    the data set that they make up: labelled rows are its split ``test``, others ``unlabelled``."""

    format_version: Literal[1] = 1
    source: str
    digest: str
    """Of the data set."""
    id_column: str | None
    """Null where rows are named by their position."""
    label_column: str | None
    """Null where there are no labels."""
    time_column: str | None
    since: datetime | None
    """Rows of an earlier time are left out; null without a time column."""
    first: datetime | None
    """The earliest time of the rows that are kept."""
    last: datetime | None
    found: Count
    """All rows of the source."""
    earlier: Count
    """Left out: before ``since``."""
    undated: Count
    """Left out: without a time."""
    repeated: Count
    """Left out: with the id of a row before."""
    known: list[KnownRows]
    """By model."""
    left_out_known: Count | None
    """Left out: a model was trained or tested on them; null where such rows are kept."""
    labelled: Count
    unlabelled: Count

    @property
    def rows(self) -> int:
        """The rows that are kept."""
        return self.labelled + self.unlabelled


class ComparedModel(Result):
    """One of the two models on the fresh rows."""

    version: str
    run_id: str | None
    """The pipeline run that made it."""
    registered_at: datetime | None
    dataset_digest: str
    """Of the data that it was trained and tested on."""
    model_digest: str
    """SHA-256 of the ONNX file."""
    size_bytes: int
    metrics: dict[MetricName, Estimate]
    """On the labelled rows; empty where there are none. Agreement and KL divergence are in
    :class:`Comparison`, on all rows."""
    mean_confidence: float
    """Mean of the largest probability, over all rows."""
    latency: Latency

    @property
    def latency_ms(self) -> Latency:
        """As :attr:`ArmResult.latency_ms`."""
        return self.latency


class Agreement(Result):
    """How often both predict the same class, over all rows."""

    estimate: Estimate
    lower: float
    upper: float
    """One-sided bounds at the comparison's confidence."""


class LabelledComparison(Result):
    """Challenger and champion on the rows that have a label."""

    counts: PairedCounts
    """The challenger is the ``student`` of the counts."""
    difference: float
    """Accuracy of the challenger less the champion's."""
    lower: float
    upper: float
    """One-sided bounds at the comparison's confidence."""
    sentence: str
    power: Power
    """What these rows can tell of a challenger that is as good as the champion."""


class ClassShift(Result):
    """How often each model predicts a class, over all rows."""

    name: str
    champion: Count
    challenger: Count
    """Rows."""
    p_value: float
    """Of "both predict it equally often": McNemar's exact test, two-sided."""
    beyond_chance: bool
    """Whether that is below 1 - confidence, divided by the number of classes."""


class Disagreement(Result):
    """Rows of which the two models say different classes."""

    champion: str
    challenger: str
    rows: Count
    labelled: Count
    """Those of them that have a label."""
    champion_right: Count
    challenger_right: Count


class DifferentRow(Result):
    """One of the rows on which the two models differ most."""

    id: str
    total_variation: float
    """Half the sum of the absolute differences of their probabilities, 0 to 1."""


class Comparison(Result):
    """Challenger and champion on the same fresh rows, and what that says about a promotion."""

    format_version: Literal[1] = 1
    model: str
    """The registered model."""
    created: datetime
    champion: ComparedModel
    challenger: ComparedModel
    rows: FreshRows
    classes: list[str]
    margin: float
    """Largest drop in accuracy that is tolerated, as a fraction of the rows."""
    min_agreement: float
    """What the agreement has to be where labels cannot judge."""
    min_rows: int
    """Fewer rows are not judged."""
    confidence: float
    """Level of each one-sided bound, and of the two-sided intervals."""
    agreement: Agreement
    labelled: LabelledComparison | None
    """Null where no row has a label."""
    shifts: list[ClassShift]
    """Every class."""
    confusion: list[list[int]]
    """Rows by the champion's class (first index) and the challenger's (second)."""
    disagreements: list[Disagreement]
    """Those with the most rows, at most 20."""
    total_variation: float
    """Mean over the rows, see :class:`DifferentRow`."""
    kl_divergence: Estimate | None
    """KL(champion || challenger) in nats; null where there is one row only."""
    most_different: list[DifferentRow]
    """At most 20, the largest first."""
    latency_ratio: float
    """The challenger's median latency divided by the champion's."""
    latency_ratio_upper: float
    """Its one-sided bound."""
    noise: Noise
    judged_by: Literal["labels", "agreement", "nothing"]
    recommendation: Recommendation
    summary: str
    """What was found, in one to three sentences for people."""
    warnings: list[str]
    """Whole sentences about what the recommendation rests on."""
