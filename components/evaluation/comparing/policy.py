"""What a challenger must meet on fresh rows, and how sure that has to be."""

from typing import Annotated

from pydantic import Field

from components.shared.recipe import LatencySpec
from components.shared.recipe.base import Confidence, Fraction, PositiveInt, Spec


class Policy(Spec):
    """By what a challenger is judged.

    Where enough rows have a label, by its accuracy; elsewhere by how often it agrees with the
    champion.
    """

    margin: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Largest drop in accuracy that is tolerated, as a fraction of the rows."""
    min_agreement: Fraction = 0.95
    """Least share of the rows on which both models must predict the same class."""
    min_rows: PositiveInt = 100
    """Fewer rows are not judged: labelled ones by accuracy, or all of them by agreement."""
    confidence: Confidence = 0.95
    """Level of each one-sided bound."""
    latency: LatencySpec = LatencySpec(budget_s=10, attempts=2)
    """How latency is measured; it is shown, and not judged."""
