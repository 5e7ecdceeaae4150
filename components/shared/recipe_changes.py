"""What differs between two recipes, by dotted path."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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


def recipe_changes(old: Any, new: Any) -> list[Change]:
    """Every value that differs, by its dotted path, in the order of the new recipe.

    A value that is null, or a mapping without anything in it, counts as not set. Lists of mappings
    of one length are compared item by item, other lists as a whole.
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
    elif old != new and not (_unset(old) and _unset(new)):
        yield Change(path, *_written(old, new))


def _unset(value: Any) -> bool:
    return value is None or value == {}


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
