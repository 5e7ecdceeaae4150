"""What changed since the champion was made: data, teacher, and the recipe by dotted path."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.shared.results import ChampionRecord

NOT_SET = "not set"
"""What stands where one of the two recipes does not say anything."""
_MOST_ITEMS = 6
"""Longer lists are told by what they gained and lost."""
_LONGEST = 160


@dataclass(frozen=True)
class Change:
    """One value that differs."""

    path: str
    old: str
    new: str


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


def recipe_changes(old: Any, new: Any) -> list[Change]:
    """Every value that differs, by its dotted path, in the order of the new recipe.

    A value that is null counts as not set. Lists of mappings of one length are compared item by
    item, other lists as a whole.
    """
    return list(_changes("", old, new))


def _changes(path: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            inner = f"{path}.{key}" if path else str(key)
            yield from _changes(inner, old.get(key), new.get(key))
    elif _itemwise(old, new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changes(f"{path}.{index}", before, after)
    elif old != new:
        yield Change(path, *_written(old, new))


def _itemwise(old: Any, new: Any) -> bool:
    return (
        isinstance(old, list)
        and isinstance(new, list)
        and len(old) == len(new)
        and all(isinstance(item, dict) for item in (*old, *new))
    )


def _written(old: Any, new: Any) -> tuple[str, str]:
    """Both values as text; of long lists only what they gained and lost."""
    texts = _text(old), _text(new)
    if not (isinstance(old, list) and isinstance(new, list)):
        return texts
    if max(len(old), len(new)) <= _MOST_ITEMS and max(map(len, texts)) < _LONGEST:
        return texts
    gone = [item for item in old if item not in new]
    came = [item for item in new if item not in old]
    if not gone and not came and len(old) == len(new):
        return f"{len(old)} items", "the same in another order"
    return _items(old, gone, "now gone"), _items(new, came, "new")


def _items(items: list[Any], special: list[Any], word: str) -> str:
    told = f"; {word}: {', '.join(map(_text, special))}" if special else ""
    return _shortened(f"{len(items)} items{told}")


def _text(value: Any) -> str:
    if value is None:
        return NOT_SET
    if isinstance(value, str):
        return _shortened(value)
    if isinstance(value, list):
        return _shortened(f"[{', '.join(map(_text, value))}]")
    return _shortened(json.dumps(value, ensure_ascii=False).replace('"', ""))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _since(champion: ChampionRecord) -> str:
    when = ""
    if champion.promoted_at is not None:
        when = f", promoted on {champion.promoted_at.strftime('%-d %B %Y')}"
    return f"Compared with champion version {champion.version}{when}."
