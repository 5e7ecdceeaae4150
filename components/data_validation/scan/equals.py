"""Rows that are equal to others: by id, by features, and by features to five digits."""

from collections.abc import Iterable

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
    """Adds to a scan what its key tables tell."""

    def __init__(self, scan: Scan, quarantined: dict[str, str]) -> None:
        """Start.

        Args:
            scan: tallies, and rows that are taken out, are added to it.
            quarantined: faults for which rows are taken out, with the reason.
        """
        self._scan = scan
        self._quarantined = quarantined
        self._out: list[Words] = []

    def find(self, ids: KeyTable, contents: KeyTable) -> None:
        """Look at both tables.

        Rows that are taken out for one thing are not counted for another that is gone with them.
        """
        for records in ids.equals():
            groups = _Groups(records, keys=2)
            self._add("duplicate_id", groups, groups.several, groups.same)
            if "duplicate_id" not in self._quarantined:
                self._add("shared_id", groups, groups.test_with_training, groups.training_partner)
        for records in contents.equals():
            exact, near = _Groups(records, keys=3), _Groups(records, keys=1)
            copied = exact.test_with_training
            self._add("copied_test_row", exact, copied, exact.training_partner)
            self._add(
                "nearly_copied_test_row",
                near,
                near.test_with_training & ~copied,
                near.training_partner,
            )
            gone = copied & ("copied_test_row" in self._quarantined)
            self._add("conflicting_labels", exact, exact.conflicting(~gone), exact.same)
        self._take_out()

    def _add(
        self, name: str, groups: "_Groups", rows: Mask, partners: npt.NDArray[np.int64]
    ) -> None:
        if not rows.any():
            return
        tally = self._scan.of(name)
        tally.add_positions(groups.positions[rows])
        first = np.flatnonzero(rows)
        first = first[np.argsort(groups.positions[first], kind="stable")[: 2 * EXAMPLES]]
        found = [
            (int(groups.positions[row]), int(groups.positions[partners[row]])) for row in first
        ]
        tally.pairs = sorted([*tally.pairs, *found])[: 2 * EXAMPLES]
        if name in self._quarantined:
            self._scan.taken.add(groups.positions[rows], self._quarantined[name])
            self._out.append(groups.tickets[rows])

    def _take_out(self) -> None:
        """Count rows that are taken out no longer, each once."""
        if not self._out:
            return
        out = Tickets(np.unique(np.concatenate(self._out)))
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
        self.tickets = records[:, -1]
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
        found: npt.NDArray[np.int64] = self._first_training[self._group]
        return found

    @property
    def test_with_training(self) -> Mask:
        """Test rows whose group has a training row."""
        found: Mask = (self._splits == _TEST) & (self.training_partner < len(self._group))
        return found

    def conflicting(self, among: Mask) -> Mask:
        """Rows with a label whose group has another label, among some of the rows."""
        none = np.iinfo(np.int64).max
        known = (self._labels >= 0) & among
        least = np.minimum.reduceat(np.where(known, self._labels, none), self._starts)
        most = np.maximum.reduceat(np.where(known, self._labels, -1), self._starts)
        found: Mask = ((least < most) & (least != none))[self._group] & known
        return found

    @property
    def _first_training(self) -> npt.NDArray[np.int64]:
        """By group; the number of records where it has no training row."""
        places = np.where(self._splits != _TEST, np.arange(len(self._group)), len(self._group))
        return np.minimum.reduceat(places, self._starts)


def positions_of(pairs: Iterable[tuple[int, int]]) -> list[int]:
    """All rows of some pairs, each once, in order."""
    return sorted({position for pair in pairs for position in pair})
