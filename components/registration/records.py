"""What the registration step writes down."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from components.shared.results import Verdict


class Registration(BaseModel):
    """Where a pipeline run is recorded, and what it changed in the registry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    verdict: Verdict
    run_id: str
    """The pipeline run."""
    mlflow_run_id: str
    tracking_uri: str
    """Without credentials."""
    model: str
    version: str | None
    """The registered version; null after a rejection."""
    alias: str | None
    """The alias that points at it; null after a rejection."""
    former_version: str | None
    """The champion that it took over from, if there was one."""
