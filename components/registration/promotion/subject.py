"""The version that a move is about, and the champion that it was measured against."""

from dataclasses import dataclass


class ChampionMoved(Exception):  # noqa: N818 - reads as an event
    """The alias is not on the champion that it should be on: that which a version was measured
    against or, where somebody wrote without the lock, that of the history."""


@dataclass(frozen=True)
class Subject:
    """The version that a move is about, and what speaks for it."""

    version: str
    run_id: str | None = None
    compared_with: str | None = None
    """The champion that it was measured against."""
    decision_digest: str | None = None
    model_digest: str | None = None
    recipe_digest: str | None = None


def expect_champion(model: str, alias: str, found: str | None, compared_with: str | None) -> None:
    """Refuse to go on unless the champion is the one that a version was measured against.

    Raises:
        ChampionMoved: it is another one, or none.
    """
    if found == compared_with:
        return
    name = f"the {alias} of {model!r}"
    if compared_with is None:
        raise ChampionMoved(f"version {found} became {name} since it was measured without one")
    raise ChampionMoved(
        f"{name} moved from {compared_with} to {found or 'none'} since it was measured against "
        f"{compared_with}"
    )
