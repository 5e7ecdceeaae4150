"""What the checks are judged on, and what their messages are made of."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from components.data_validation.scan.faults import Limits
from components.data_validation.scan.found import Scan
from components.data_validation.scan.tally import Tally, Witness
from components.shared.dataset import DatasetManifest
from components.shared.recipe import ValidationSpec

SHOWN = 5


@dataclass(frozen=True)
class Evidence:
    """A scan, with what must not be shown of it."""

    scan: Scan
    spec: ValidationSpec

    @property
    def manifest(self) -> DatasetManifest:
        """Of the data set."""
        return self.scan.manifest

    @property
    def limits(self) -> Limits:
        """Of the features."""
        return Limits.of(self.spec)

    def hides(self, *columns: str) -> bool:
        """Whether values of one of the columns must not be shown."""
        return not set(self.spec.sensitive).isdisjoint(columns)

    def tally(self, name: str) -> Tally:
        """Rows with a fault."""
        return self.scan.tallies.get(name, Tally())

    def witness(self, position: int) -> Witness:
        """A row that is remembered."""
        return self.scan.witnesses[position]

    def rows_in(self, *splits: str) -> int:
        """Rows of some splits, without those that are taken out."""
        return sum(self.scan.split_rows(split) for split in splits)

    def share_of_test(self, fault: str) -> float:
        """Share of the test rows that have a fault, NaN without test rows."""
        rows = self.tally(fault).rows
        taken_out = rows if getattr(self.spec.policies, fault) == "quarantine" else 0
        total = self.rows_in("test") + taken_out
        return rows / total if total else np.nan

    def class_rows(self, split: str) -> dict[str, int]:
        """Rows by class, of those that a split has."""
        return {
            name: self.scan.rows[split, name]
            for name in self.manifest.classes
            if self.scan.rows[split, name] > 0
        }

    def name(self, position: int) -> str:
        """A row as messages call it: by its id, or where that is hidden by its position."""
        row_id = self.witness(position).id
        if row_id is None or self.hides(self.manifest.id):
            return f"row {position}"
        return f"id {row_id!r}"

    def names(self, positions: Iterable[int], rows: int) -> str:
        """``: id 'a', 'b', …``: a few of ``rows`` rows."""
        listed = list(positions)[:SHOWN]
        more = ", …" if rows > len(listed) else ""
        if self.hides(self.manifest.id):
            return f": row {', '.join(map(str, listed))}{more}" if listed else ""
        found = (self.witness(position).id for position in listed)
        ids = dict.fromkeys(row_id for row_id in found if row_id is not None)
        return f": id {', '.join(map(repr, ids))}{more}" if ids else ""

    def shown_extremes(self, witness: Witness) -> tuple[float, float]:
        """The extremes of a row; where features are hidden, only on which side of the limits."""
        low, high = witness.smallest, witness.largest
        if not self.hides(*self.manifest.input.names):
            return low, high
        least, greatest = self.limits.least, self.limits.greatest
        if least is not None:
            low = least if low >= least else float(np.nextafter(least, -np.inf))
        if greatest is not None:
            high = greatest if high <= greatest else float(np.nextafter(greatest, np.inf))
        return low if least is not None else np.nan, high if greatest is not None else np.nan
