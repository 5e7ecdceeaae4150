"""The history of a registered model's alias, read and checked."""

from pydantic import BaseModel, ConfigDict

from components.registration.promotion.moves import Move
from components.registration.promotion.registered import registered
from components.registration.promotion.states import abandoned_by
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec


class HistoryMove(Move):
    """A move, and the hash by which the next one refers to it."""

    digest: str
    took_effect: bool
    """Not where a later move found that the alias never was on its version."""


class History(BaseModel):
    """All moves of an alias."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    alias: str
    tracking_uri: str
    """Without credentials."""
    moves: list[HistoryMove]
    """The first one first."""
    fault: str | None
    """Where it does not follow from itself; null while it does."""


def read_history(registry: RegistrySpec, tracking_uri: str = "") -> History:
    """Read and check the history; changes nothing.

    Raises:
        UserError: there is no such registered model.
        TrackingError: MLflow cannot be reached.
    """
    with registered(registry, tracking_uri) as model:
        try:
            model.view.verify()
            fault = None
        except UserError as error:
            fault = str(error)
        abandoned = abandoned_by(model.view.moves)
        return History(
            model=registry.model,
            alias=registry.alias,
            tracking_uri=model.public_uri,
            moves=[
                HistoryMove(
                    **found.move.model_dump(),
                    digest=found.digest,
                    took_effect=found.move.sequence not in abandoned,
                )
                for found in model.view.entries
            ],
            fault=fault,
        )
