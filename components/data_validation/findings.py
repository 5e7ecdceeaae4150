"""What a failed check found, in plain words: where, how many rows, and a few of their ids."""

from collections.abc import Callable, Iterable
from typing import Any

from components.data_validation.frame import Derived

Finding = Callable[[Derived, dict[str, Any]], str]
SHOWN = 5


def rows(words: str) -> Finding:
    """``3 rows <words>: id 'a', 'b', 'c'``."""
    return lambda _, result: f"{_count(result)} {words}{_ids(result)}"


def columns(derived: Derived, _: dict[str, Any]) -> str:
    """Which columns there are."""
    return f"the columns are {_list(derived.schema['column'])}"


def types(_: Derived, result: dict[str, Any]) -> str:
    """Which columns hold something else."""
    found = [f"{row['column']} ({row['kind']})" for row in result["partial_unexpected_index_list"]]
    return f"columns of another type: {_list(found)}"


def labels(derived: Derived, result: dict[str, Any]) -> str:
    """Which labels are not classes."""
    foreign = sorted({str(row["label"]) for row in result["partial_unexpected_index_list"]})
    return (
        f"{_count(result)} with a label outside the classes {_list(derived.manifest.classes)} "
        f"(such as {_list(foreign)}){_ids(result)}"
    )


def balance(most: float) -> Finding:
    """The most frequent class of the labelled rows."""

    def find(derived: Derived, result: dict[str, Any]) -> str:
        labels = derived.rows.loc[derived.rows["split"] == "labelled", "label"]
        if result["observed_value"] is None:
            return "the labelled split has no row of any class"
        name = str(labels.value_counts().index[0])
        share = result["observed_value"]
        return (
            f"class {name!r} has {share:.1%} of the labelled rows; at most {most:.1%} are allowed"
        )

    return find


def split_size(split: str, least: int) -> Finding:
    """How many rows a split has."""
    return lambda _, result: (
        f"the {split} split has {_rows(result['observed_value'])}; at least {least} are needed"
    )


def absent_classes(split: str) -> Finding:
    """Which classes a split lacks."""

    def find(derived: Derived, _: dict[str, Any]) -> str:
        there = set(derived.rows.loc[derived.rows["split"] == split, "label"])
        absent = [name for name in derived.manifest.classes if name not in there]
        return f"the {split} split has no row of {_classes(absent)}"

    return find


def small_classes(split: str, least: int) -> Finding:
    """Which classes have too few rows in a split."""

    def find(derived: Derived, _: dict[str, Any]) -> str:
        inside = derived.rows[derived.rows["split"] == split]
        counts = inside["label"].value_counts()
        small = [
            f"{name!r} ({counts[name]})"
            for name in derived.manifest.classes
            if 0 < counts.get(name, 0) < least
        ]
        if not small:
            return f"the {split} split has no row of any class"
        return f"classes with fewer than {least} rows in the {split} split: {_join(small)}"

    return find


def features(helper: str, words: str) -> Finding:
    """Which columns have bad values, and in how many rows."""

    def find(derived: Derived, result: dict[str, Any]) -> str:
        affected = sorted(derived.affected[helper].items(), key=lambda item: -item[1])
        where = _join(f"{name!r} ({_rows(count)})" for name, count in affected)
        return f"{_count(result)} {words} in {where}{_ids(result)}"

    return find


def images(_: Derived, result: dict[str, Any]) -> str:
    """What is wrong with images."""
    reasons = list(
        dict.fromkeys(row["unreadable"] for row in result["partial_unexpected_index_list"])
    )
    return f"{_count(result)} with an unusable image ({_join(reasons)}){_ids(result)}"


def below(limit: float) -> Finding:
    """Which columns have values below the limit."""

    def find(derived: Derived, result: dict[str, Any]) -> str:
        low = sorted(derived.lowest.items(), key=lambda item: item[1])
        where = _join(f"{name!r} (lowest {value:g})" for name, value in low if value < limit)
        return f"{_count(result)} with values below {limit:g} in {where}{_ids(result)}"

    return find


def above(limit: float) -> Finding:
    """Which columns have values above the limit."""

    def find(derived: Derived, result: dict[str, Any]) -> str:
        high = sorted(derived.highest.items(), key=lambda item: -item[1])
        where = _join(f"{name!r} (highest {value:g})" for name, value in high if value > limit)
        return f"{_count(result)} with values above {limit:g} in {where}{_ids(result)}"

    return find


def overlap(tolerated: float) -> Finding:
    """Which test rows have the features of which training row."""

    def find(_: Derived, result: dict[str, Any]) -> str:
        pairs = _join(
            f"id {row['id']!r} equals {row['same_features_as']!r}"
            for row in result["partial_unexpected_index_list"]
        )
        share = result["unexpected_percent"] / 100
        return (
            f"{_count(result)} of the test split ({share:.1%}; tolerated are {tolerated:.1%}) with "
            f"the features of a training row: {pairs}"
        )

    return find


def _count(result: dict[str, Any]) -> str:
    return _rows(result["unexpected_count"])


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _ids(result: dict[str, Any]) -> str:
    ids = dict.fromkeys(
        row["id"] for row in result["partial_unexpected_index_list"] if row["id"] is not None
    )
    if not ids:
        return ""
    more = (
        ", …" if result["unexpected_count"] > len(result["partial_unexpected_index_list"]) else ""
    )
    return f": id {', '.join(repr(row_id) for row_id in ids)}{more}"


def _classes(names: list[str]) -> str:
    return f"class {names[0]!r}" if len(names) == 1 else f"the classes {_list(names)}"


def _list(names: Iterable[object]) -> str:
    return _join(repr(str(name)) for name in names)


def _join(parts: Iterable[str]) -> str:
    every = list(parts)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
