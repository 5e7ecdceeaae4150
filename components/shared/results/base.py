"""What all results have in common."""

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """A frozen record without unknown fields; NaN and infinity survive JSON, so that a gate sees
    them."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Interval(Result):
    """A two-sided confidence interval."""

    lower: float
    upper: float
