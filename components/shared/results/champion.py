"""What is known of the champion that a student is compared with."""

from datetime import datetime
from typing import Any, Literal

from components.shared.results.base import Result
from components.shared.results.evaluation import ChampionState

CHAMPION_RECORD = "champion.json"


class ChampionRecord(Result):
    """Beside the champion's deployable files, or alone where there is no champion; and beside those
    of a challenger that is compared with it."""

    format_version: Literal[1] = 1
    state: ChampionState
    version: str | None
    registered_at: datetime | None = None
    promoted_at: datetime | None = None
    run_id: str | None = None
    """The pipeline run that made it."""
    dataset_digest: str | None = None
    teacher_digest: str | None = None
    recipe: dict[str, Any] | None = None
    """The recipe that it was made by; null where its MLflow run is gone."""
