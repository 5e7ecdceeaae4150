"""What changed since the champion was made: data, teacher, and the recipe by dotted path."""

from dataclasses import dataclass
from typing import Any

from components.shared.recipe_changes import Change, recipe_changes
from components.shared.results import ChampionRecord


@dataclass(frozen=True)
class Origin:
    """An input of the champion beside the same input of the new student."""

    name: str
    old: str | None
    """Digest; null where it is not recorded."""
    new: str

    @property
    def word(self) -> str:
        """Whether they are the same."""
        if self.old is None:
            return "not known"
        return "the same" if self.old == self.new else "changed"


@dataclass(frozen=True)
class Changes:
    """All that differs from the champion."""

    sentence: str
    """What can be said, and what not."""
    origins: list[Origin]
    """Empty where there is no champion."""
    recipe: list[Change]


def since_champion(
    champion: ChampionRecord, dataset_digest: str, teacher_digest: str, recipe: dict[str, Any]
) -> Changes:
    """Compare the inputs of a new student with those of the champion.

    Args:
        champion: what is known of it, or why there is none.
        dataset_digest: of the data set that the student was made from.
        teacher_digest: of the teacher's model bundle.
        recipe: the whole recipe as plain JSON.
    """
    if champion.state == "first_model":
        nothing = "This is the first model under its name: there is nothing before it."
        return Changes(nothing, [], [])
    if champion.state == "missing":
        unknown = (
            "Versions of this model are registered, but none of them is the champion, so it is not "
            "known what this one would take over from."
        )
        return Changes(unknown, [], [])
    origins = [
        Origin("Data set", champion.dataset_digest, dataset_digest),
        Origin("Teacher", champion.teacher_digest, teacher_digest),
    ]
    if champion.recipe is None:
        lost = f"{_since(champion)} Its recipe is not known: the MLflow run that logged it is gone."
        return Changes(lost, origins, [])
    changed = recipe_changes(champion.recipe, recipe)
    count = {0: "The recipe is the same.", 1: "One value of the recipe changed."}.get(
        len(changed), f"{len(changed)} values of the recipe changed."
    )
    return Changes(f"{_since(champion)} {count}", origins, changed)


def _since(champion: ChampionRecord) -> str:
    when = ""
    if champion.promoted_at is not None:
        when = f", promoted on {champion.promoted_at.strftime('%-d %B %Y')}"
    return f"Compared with champion version {champion.version}{when}."
