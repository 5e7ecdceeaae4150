"""What a failed check found, in plain words: where, how many rows, and a few of their ids."""

from collections.abc import Callable, Iterable

from components.data_validation.evidence import SHOWN, Evidence
from components.data_validation.frame import schema_frame

Finding = Callable[[Evidence], str]


def rows(fault: str, words: str) -> Finding:
    """``3 rows <words>: id 'a', 'b', 'c'``."""

    def find(evidence: Evidence) -> str:
        tally = evidence.tally(fault)
        return f"{count(tally.rows)} {words}{evidence.names(tally.examples, tally.rows)}"

    return find


def columns(evidence: Evidence) -> str:
    """Which columns there are."""
    return f"the columns are {_list(schema_frame(evidence)['column'])}"


def types(role: str, allowed: tuple[str, ...]) -> Finding:
    """Which columns hold something else."""

    def find(evidence: Evidence) -> str:
        frame = schema_frame(evidence)
        wrong = frame[(frame["role"] == role) & ~frame["kind"].isin(allowed)]
        found = [
            f"{name} ({kind})" for name, kind in zip(wrong["column"], wrong["kind"], strict=True)
        ]
        return f"columns of another type: {_list(found)}"

    return find


def labels(evidence: Evidence) -> str:
    """Which labels are not classes."""
    tally = evidence.tally("unknown_label")
    foreign = sorted({str(evidence.witness(position).label) for position in tally.examples})
    return (
        f"{count(tally.rows)} with a label outside the classes {_list(evidence.manifest.classes)} "
        f"(such as {_list(foreign)}){evidence.names(tally.examples, tally.rows)}"
    )


def balance(most: float) -> Finding:
    """The most frequent class of the labelled rows."""

    def find(evidence: Evidence) -> str:
        classes = evidence.class_rows("labelled")
        if not classes:
            return "the labelled split has no row of any class"
        name, number = max(classes.items(), key=lambda item: item[1])
        share = number / evidence.rows_in("labelled")
        return (
            f"class {name!r} has {share:.1%} of the labelled rows; at most {most:.1%} are allowed"
        )

    return find


def split_size(split: str, least: int) -> Finding:
    """How many rows a split has."""
    return lambda evidence: (
        f"the {split} split has {count(evidence.rows_in(split))}; at least {least} are needed"
    )


def absent_classes(split: str) -> Finding:
    """Which classes a split lacks."""

    def find(evidence: Evidence) -> str:
        there = evidence.class_rows(split)
        absent = [name for name in evidence.manifest.classes if name not in there]
        which = f"class {absent[0]!r}" if len(absent) == 1 else f"the classes {_list(absent)}"
        return f"the {split} split has no row of {which}"

    return find


def small_classes(split: str, least: int) -> Finding:
    """Which classes have too few rows in a split."""

    def find(evidence: Evidence) -> str:
        there = evidence.class_rows(split)
        small = [f"{name!r} ({number})" for name, number in there.items() if number < least]
        if not small:
            return f"the {split} split has no row of any class"
        return f"classes with fewer than {least} rows in the {split} split: {_join(small)}"

    return find


def features(fault: str, words: str) -> Finding:
    """Which columns have bad values, and in how many rows."""

    def find(evidence: Evidence) -> str:
        tally = evidence.tally(fault)
        affected = sorted(tally.by_column.items(), key=lambda item: -item[1])
        where = _join(f"{name!r} ({count(number)})" for name, number in affected)
        return f"{count(tally.rows)} {words} in {where}{evidence.names(tally.examples, tally.rows)}"

    return find


def images(evidence: Evidence) -> str:
    """What is wrong with images."""
    tally = evidence.tally("unreadable")
    reasons = dict.fromkeys(
        evidence.witness(position).notes["unreadable"] for position in tally.examples
    )
    named = evidence.names(tally.examples, tally.rows)
    return f"{count(tally.rows)} with an unusable image ({_join(reasons)}){named}"


def below(limit: float) -> Finding:
    """Which columns have values below the limit."""

    def find(evidence: Evidence) -> str:
        low = sorted(evidence.scan.lowest.items(), key=lambda item: item[1])
        where = _join(
            _extreme(evidence, name, "lowest", value) for name, value in low if value < limit
        )
        return _outside(evidence, "below", limit, where)

    return find


def above(limit: float) -> Finding:
    """Which columns have values above the limit."""

    def find(evidence: Evidence) -> str:
        high = sorted(evidence.scan.highest.items(), key=lambda item: -item[1])
        where = _join(
            _extreme(evidence, name, "highest", value) for name, value in high if value > limit
        )
        return _outside(evidence, "above", limit, where)

    return find


def overlap(fault: str, words: str, tolerated: float) -> Finding:
    """Which test rows have the features of which training row."""

    def find(evidence: Evidence) -> str:
        tally = evidence.tally(fault)
        pairs = _join(
            f"{evidence.name(row)} equals {evidence.name(other).removeprefix('id ')}"
            for row, other in tally.pairs[:SHOWN]
        )
        more = f" and {tally.rows - SHOWN} more" if tally.rows > SHOWN else ""
        share = evidence.share_of_test(fault)
        return (
            f"{count(tally.rows)} of the test split ({share:.1%}; tolerated are {tolerated:.1%}) "
            f"{words}: {pairs}{more}"
        )

    return find


def conflicts(evidence: Evidence) -> str:
    """Which rows have the same features and different labels."""
    tally = evidence.tally("conflicting_labels")
    pairs = _join(
        f"{evidence.name(row)} ({evidence.witness(row).label}) and {evidence.name(other)} "
        f"({evidence.witness(other).label})"
        for row, other in tally.pairs[:SHOWN]
    )
    return f"{count(tally.rows)} with the features of a row that has another label: {pairs}"


def count(number: int) -> str:
    """``1 row``, ``2 rows``."""
    return f"{number} row" if number == 1 else f"{number} rows"


def _extreme(evidence: Evidence, name: str, which: str, value: float) -> str:
    return repr(name) if evidence.hides(name) else f"{name!r} ({which} {value:g})"


def _outside(evidence: Evidence, side: str, limit: float, where: str) -> str:
    tally = evidence.tally(side)
    named = evidence.names(tally.examples, tally.rows)
    return f"{count(tally.rows)} with values {side} {limit:g} in {where}{named}"


def _list(names: Iterable[object]) -> str:
    return _join(repr(str(name)) for name in names)


def _join(parts: Iterable[str]) -> str:
    every = list(parts)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
