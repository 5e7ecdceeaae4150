"""Rows that are equal to others: by id, by features, and by features to five digits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.data_validation.scan.found import Scan
from components.data_validation.scan.hashing import Words
from components.data_validation.scan.keys import KeyTable, Tickets
from components.data_validation.scan.tally import EXAMPLES
from components.shared.dataset import SPLITS

_TEST = SPLITS.index("test")

Mask = npt.NDArray[np.bool_]


class Equals:
    """Adds to a scan what its key tables tell.

    Checks that take rows out come before those that do not, which judge what is left.
    """

    def __init__(self, scan: Scan, quarantined: dict[str, str]) -> None:
        """Start.

        Args:
            scan: tallies, and rows that are taken out, are added to it.
            quarantined: faults for which rows are taken out, with the reason.
        """
        self._scan = scan
        self._quarantined = quarantined
        self._out: list[Words] = []

    def find(self, ids: KeyTable, contents: KeyTable) -> bool:
        """Look at both tables.

        Rows that are taken out for one thing are not counted for another that is gone with them.

        Returns:
            Whether rows were taken out.

        Raises:
            UserError: there is no room for the tables.
        """
        for records in ids.equals():
            self._judge(records, _OF_IDS)
        if self._takes_out("shared_id") and not self._takes_out("duplicate_id"):
            self._name_apart()
        gone = self._gone()
        for records in contents.equals():
            left = records[~_among(records[:, -1], gone)] if len(gone) else records
            self._judge(left, _OF_CONTENTS)
        if self._out:
            self._take_out()
        return bool(self._out)

    def _judge(self, records: Words, finders: "dict[str, Finder]") -> None:
        for name in sorted(finders, key=lambda name: not self._takes_out(name)):
            if not len(records):
                return
            found = finders[name](records)
            self._add(name, found)
            if self._takes_out(name):
                records = found.groups.records[~found.rows]

    def _takes_out(self, name: str) -> bool:
        return name in self._quarantined

    def _add(self, name: str, found: "_Found") -> None:
        groups, rows = found.groups, found.rows
        if not rows.any():
            return
        tally = self._scan.of(name)
        tally.add_positions(groups.positions[rows])
        first = np.flatnonzero(rows)
        first = first[np.argsort(groups.positions[first], kind="stable")[: 2 * EXAMPLES]]
        pairs = [
            (int(groups.positions[row]), int(groups.positions[found.partners[row]]))
            for row in first
        ]
        tally.pairs = sorted([*tally.pairs, *pairs])[: 2 * EXAMPLES]
        if self._takes_out(name):
            self._scan.taken.add(groups.positions[rows], self._quarantined[name])
            self._out.append(groups.tickets[rows])

    def _name_apart(self) -> None:
        """Note witnesses that are taken out by now: no row that is left has their id."""
        tally = self._scan.of("shared_id")
        shown = {*self._scan.witnesses, *positions_of(tally.pairs), *tally.examples}
        positions = np.asarray(sorted(shown), dtype=np.int64)
        out = self._scan.taken.among(positions)
        self._scan.out_before |= set(positions[out].tolist())

    def _gone(self) -> Words:
        """Tickets of the rows that are taken out, in order."""
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *self._out]))

    def _take_out(self) -> None:
        """Count rows that are taken out no longer, each once."""
        out = Tickets(self._gone())
        classes = [*self._scan.manifest.classes, None]  # -1 is the last
        kinds, counts = np.unique(
            np.stack([out.splits, out.labels], axis=1), axis=0, return_counts=True
        )
        for (split, label), count in zip(kinds.tolist(), counts.tolist(), strict=True):
            self._scan.rows[SPLITS[split], classes[label]] -= count


class _Groups:
    """Sorted records in groups with the same key."""

    def __init__(self, records: npt.NDArray[np.uint64], keys: int) -> None:
        changed = np.ones(len(records), bool)
        changed[1:] = (records[1:, :keys] != records[:-1, :keys]).any(axis=1)
        self.records, self.tickets = records, records[:, -1]
        self._starts = np.flatnonzero(changed)
        self._group = np.cumsum(changed) - 1
        rows = Tickets(self.tickets)
        self.positions, self._splits, self._labels = rows.positions, rows.splits, rows.labels
        self._sizes = np.diff([*self._starts, len(records)])

    @property
    def several(self) -> Mask:
        """Rows that are not alone."""
        found: Mask = (self._sizes > 1)[self._group]
        return found

    @property
    def same(self) -> npt.NDArray[np.int64]:
        """For each row another one of its group, where there is one: as a place among records."""
        places = np.arange(len(self._group))
        following = np.minimum(places + 1, len(places) - 1)
        last = self._group[following] != self._group
        return np.where(last | (following == places), self._starts[self._group], following)

    @property
    def training_partner(self) -> npt.NDArray[np.int64]:
        """For each row the first training row of its group; a place among records."""
        found: npt.NDArray[np.int64] = self._first(self._splits != _TEST)[self._group]
        return found

    @property
    def test_with_training(self) -> Mask:
        """Test rows whose group has a training row."""
        found: Mask = (self._splits == _TEST) & (self.training_partner < len(self._group))
        return found

    @property
    def conflicting(self) -> Mask:
        """Rows with a label whose group has another label."""
        least, most = self._extreme_labels
        found: Mask = (self._labels >= 0) & (least < most)[self._group]
        return found

    @property
    def conflicting_partner(self) -> npt.NDArray[np.int64]:
        """For each row that conflicts the first row of its group with the smallest label, or with
        the largest for those that have the smallest; a place among records."""
        least, most = (extreme[self._group] for extreme in self._extreme_labels)
        smallest, largest = (
            self._first(self._labels == extreme)[self._group] for extreme in (least, most)
        )
        found: npt.NDArray[np.int64] = np.where(self._labels == least, largest, smallest)
        return found

    @property
    def _extreme_labels(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Smallest and largest label by group; the first above the second where it has none."""
        none, known = np.iinfo(np.int64).max, self._labels >= 0
        return (
            np.minimum.reduceat(np.where(known, self._labels, none), self._starts),
            np.maximum.reduceat(np.where(known, self._labels, -1), self._starts),
        )

    def _first(self, among: Mask) -> npt.NDArray[np.int64]:
        """First of some rows by group; the number of records where it has none of them."""
        places = np.where(among, np.arange(len(self._group)), len(self._group))
        found: npt.NDArray[np.int64] = np.minimum.reduceat(places, self._starts)
        return found


@dataclass(frozen=True)
class _Found:
    """Rows that are equal to others, among the records of a file."""

    groups: _Groups
    rows: Mask
    partners: npt.NDArray[np.int64]
    """Of each of ``rows`` the one that it is equal to; a place among records."""


Finder = Callable[[Words], _Found]


def _duplicates(records: Words) -> _Found:
    groups = _Groups(records, keys=2)
    return _Found(groups, groups.several, groups.same)


def _shared(records: Words) -> _Found:
    groups = _Groups(records, keys=2)
    return _Found(groups, groups.test_with_training, groups.training_partner)


def _copied(records: Words) -> _Found:
    groups = _Groups(records, keys=3)
    return _Found(groups, groups.test_with_training, groups.training_partner)


def _nearly_copied(records: Words) -> _Found:
    groups, copied = _Groups(records, keys=1), _copied(records).rows
    rows = groups.test_with_training & ~copied
    return _Found(groups, rows, groups.training_partner)


def _conflicting(records: Words) -> _Found:
    groups = _Groups(records, keys=3)
    return _Found(groups, groups.conflicting, groups.conflicting_partner)


_OF_IDS: dict[str, Finder] = {"duplicate_id": _duplicates, "shared_id": _shared}
_OF_CONTENTS: dict[str, Finder] = {
    "copied_test_row": _copied,
    "nearly_copied_test_row": _nearly_copied,
    "conflicting_labels": _conflicting,
}
"""By fault, in the order in which they are looked for."""


def _among(words: Words, chosen: Words) -> Mask:
    """Which of the words are among others, which are in order."""
    places = np.searchsorted(chosen, words)
    found: Mask = places < np.searchsorted(chosen, words, side="right")
    return found


def positions_of(pairs: Iterable[tuple[int, int]]) -> list[int]:
    """All rows of some pairs, each once, in order."""
    return sorted({position for pair in pairs for position in pair})
