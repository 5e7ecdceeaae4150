"""The recipe's ``evaluation`` section: how models are measured."""

from typing import Annotated, Literal

from pydantic import Field

from components.shared.recipe.base import Candidates, Confidence, PositiveFloat, PositiveInt, Spec


class LatencySpec(Spec):
    """All models take turns in ONNX Runtime, so that a drift of the machine meets all alike.

    Every pair of a batch size and a number of threads is a condition. Gates judge the first one,
    ``batch_sizes[0]`` with ``threads[0]``.
    """

    batch_sizes: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] = [1]
    """Rows in one call."""
    threads: Annotated[
        list[Annotated[int, Field(gt=0, le=256)]], Candidates, Field(min_length=1)
    ] = [1]
    """Threads of ONNX Runtime."""
    provider: Literal["cpu", "cuda"] = "cpu"
    """ONNX Runtime's execution provider; ``cuda`` needs an image with onnxruntime-gpu."""
    budget_s: PositiveFloat = 20.0
    """Seconds for all models and conditions together, of one attempt."""
    precision: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Measuring ends before the budget once the bounds of p50 and p95 lie this close to them, as a
    fraction."""
    max_noise: PositiveFloat = 0.15
    """From here on the machine counts as noisy; see ``Noise`` in the evaluation."""
    attempts: PositiveInt = 3
    """How often to measure while the machine is noisy; the quietest attempt is kept."""


class EvaluationSpec(Spec):
    """How the models are measured on the test rows."""

    confidence: Confidence = 0.95
    """Level of the confidence intervals in the evaluation."""
    latency: LatencySpec = LatencySpec()
