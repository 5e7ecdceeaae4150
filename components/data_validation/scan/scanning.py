"""One pass over a data set: everything that the checks are judged on, in bounded memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.data_validation.features import Features, Mask, read_features
from components.data_validation.quarantine.policies import policies_that_quarantine
from components.data_validation.scan.described import describe
from components.data_validation.scan.faults import (
    Extremes,
    Fault,
    Limits,
    extremes,
    notes,
    row_faults,
)
from components.data_validation.scan.found import Scan
from components.data_validation.scan.hashing import feature_hashes, number_hashes, text_hashes
from components.data_validation.scan.keys import KeyTable, tickets
from components.data_validation.scan.labels import NONE, Labels, read_labels
from components.data_validation.scan.tally import EXAMPLES, Witness
from components.shared.ahead import one_ahead
from components.shared.blocks import Block, read_blocks
from components.shared.dataset import NO_LABEL, SPLITS, DatasetManifest
from components.shared.recipe import POSITION, ValidationSpec


class Own(Protocol):
    """The expectations of the recipe."""

    columns: list[str]
    """The columns that they need."""

    def judge(self, block: Block) -> dict[str, Mask]:
        """Rows that are not as expected, by name of expectation."""
        ...

    def add(self, block: Block, kept: Mask) -> None:
        """Take note of the rows that are kept."""
        ...

    def restart(self) -> list[str]:
        """Forget the notes; the columns that they are about."""
        ...


_VALUES = 2**22
"""Most feature values of a block: 16 MB as 32-bit floats."""
_MOST_ROWS = 2**15


def block_rows(manifest: DatasetManifest) -> int:
    """How many rows to read at once: fewer the more features they have."""
    width = int(np.prod(manifest.input.shape))
    return max(1, min(_MOST_ROWS, _VALUES // width))


class Scanner:
    """Looks at one block after the other."""

    def __init__(
        self, manifest: DatasetManifest, spec: ValidationSpec, ids: KeyTable, contents: KeyTable
    ) -> None:
        """Start.

        Args:
            manifest: of the data set.
            spec: the limits, and what becomes of rows that break them.
            ids: table for the hashes of ids.
            contents: table for the hashes of features.
        """
        self.scan = Scan(manifest)
        self._limits = Limits.of(spec)
        self._ids, self._contents = ids, contents
        self._kinds: set[tuple[int, int]] = set()
        self._quarantined = policies_that_quarantine(spec)

    def read(self, folder: Path, own: Own) -> Scan:
        """Look at all rows of the data set in ``folder``.

        Args:
            folder: where it lies.
            own: the expectations of the recipe.

        Raises:
            UserError: a shard is gone, damaged, or no longer has the content that was resolved;
                there is no room for the tables.
            StorageFailed: its storage is out of reach.
        """
        manifest = self.scan.manifest
        names = list(dict.fromkeys([*manifest.meaningful, *own.columns]))
        # The thread that decodes ends with the pass: what it keeps for later is had back then.
        blocks = read_blocks(manifest, folder, names, block_rows(manifest))
        for block in one_ahead(blocks):
            if not self.scan.types:
                self.scan.types = _types(block)
            inside = block.of(SPLITS)
            if inside.table.num_rows:
                self._look(inside, own)
        if len(self.scan.taken.positions):
            out = self.scan.taken.among(np.asarray(sorted(self.scan.witnesses), dtype=np.int64))
            self.scan.out_before = set(np.asarray(sorted(self.scan.witnesses))[out].tolist())
        return self.scan

    def _look(self, block: Block, own: Own) -> None:
        positions, splits = block.positions(), block.splits.astype(np.int64)
        labels = read_labels(block)
        without_id = _without_id(block)
        features = read_features(block.table, self.scan.manifest.input)
        found = extremes(features)
        faults = list(row_faults(features, found, without_id, labels, splits, self._limits))
        view = _View(block, positions, splits, labels, features, found, faults)
        out = self._count(view, own.judge(block))
        own.add(block, ~out)
        self._remember_extremes(view)
        kept = ~out if out.any() else slice(None)
        self._count_classes(view, kept)
        rows = tickets(positions, splits, np.maximum(labels.codes, NONE))
        self._add_ids(block, rows, ~without_id & ~out)
        self._add_contents(features, rows, out)
        unusable = out.copy()
        for fault in faults:
            unusable |= fault.rows
        for sample in (self.scan.training, self.scan.test):
            picked = sample.take(splits, ~unusable)
            described = describe(features, picked, self.scan.manifest.input)
            sample.keep(described, positions[picked])

    def _count(self, view: "_View", own: dict[str, Mask]) -> Mask:
        """Tally what is wrong; which rows are taken out for it, shape (rows,)."""
        merged: dict[str, Mask] = {}
        for fault in view.faults:
            if fault.column is not None:
                self.scan.of(fault.name).by_column[fault.column] += int(fault.rows.sum())
            before = merged.get(fault.name)
            merged[fault.name] = fault.rows if before is None else before | fault.rows
        out = np.zeros(len(view.positions), bool)
        for name, rows in (*merged.items(), *own.items()):
            tally = self.scan.of(name)
            wanted = len(tally.examples)
            tally.add(rows, view.positions)
            for row in np.flatnonzero(rows)[: EXAMPLES - wanted]:
                self._remember(view, int(row))
            if name in self._quarantined:
                self.scan.taken.add(view.positions[rows], self._quarantined[name])
                out |= rows
        return out

    def _count_classes(self, view: "_View", kept: Mask | slice) -> None:
        classes = self.scan.manifest.classes
        codes, splits = np.maximum(view.labels.codes[kept], NONE), view.splits[kept]
        width = len(classes) + 1
        counts = np.bincount(splits * width + codes + 1, minlength=width * len(SPLITS))
        for kind in np.flatnonzero(counts):
            split, code = divmod(int(kind), width)
            name = classes[code - 1] if code else None
            self.scan.rows[SPLITS[split], name] += int(counts[kind])
            if (split, code) not in self._kinds:
                self._kinds.add((split, code))
                of_kind = (splits == split) & (codes + 1 == code)
                first = np.arange(len(view.positions))[kept][int(of_kind.argmax())]
                self._remember(view, int(first))

    def _remember_extremes(self, view: "_View") -> None:
        """Smallest and largest value by column; the rows with those of all are witnesses."""
        before = (
            min(self.scan.lowest.values(), default=np.inf),
            max(self.scan.highest.values(), default=-np.inf),
        )
        lowest, highest = view.extremes.lowest, view.extremes.highest
        names, width = view.features.columns, len(lowest)
        if names[0] == names[-1]:  # an image or a text
            names, lowest, highest = (
                names[:1],
                lowest.min(keepdims=True),
                highest.max(keepdims=True),
            )
        for name, low, high in zip(names, lowest.tolist(), highest.tolist(), strict=True):
            self.scan.lowest[name] = min(low, self.scan.lowest.get(name, np.inf))
            self.scan.highest[name] = max(high, self.scan.highest.get(name, -np.inf))
        if float(lowest.min()) < before[0]:
            self._remember(view, int(view.extremes.low.argmin()) // width)
        if float(highest.max()) > before[1]:
            self._remember(view, int(view.extremes.high.argmax()) // width)

    def _remember(self, view: "_View", row: int) -> None:
        position = int(view.positions[row])
        self.scan.witnesses.setdefault(position, view.witness(row))

    def _add_ids(self, block: Block, rows: npt.NDArray[np.uint64], usable: Mask) -> None:
        name = block.manifest.id
        if name == POSITION:
            return  # different by construction
        column = block.table.column(name)
        if pa.types.is_integer(column.type):
            numbers = column.cast(pa.int64(), safe=False).fill_null(0).to_numpy()
            words = number_hashes(np.ascontiguousarray(numbers))
        else:
            words = text_hashes(block.ids().to_numpy(zero_copy_only=False))
        self._ids.add(*(part[usable] for part in (*words, rows)))

    def _add_contents(self, features: Features, rows: npt.NDArray[np.uint64], out: Mask) -> None:
        usable = ~out
        usable[list(features.unreadable)] = False
        hashes = feature_hashes(features.values)
        parts = (hashes.near, hashes.exact, hashes.second, rows)
        self._contents.add(*(parts if usable.all() else (part[usable] for part in parts)))


@dataclass(frozen=True)
class _View:
    """A block with what was found in it."""

    block: Block
    positions: npt.NDArray[np.int64]
    splits: npt.NDArray[np.int64]
    labels: Labels
    features: Features
    extremes: Extremes
    faults: list[Fault]

    def witness(self, row: int) -> Witness:
        name = self.block.manifest.id
        value = self.block.table.column(name)[row].as_py() if name != POSITION else None
        position = int(self.positions[row])
        row_id = f"row-{position}" if name == POSITION else None if value is None else str(value)
        low, high = self.extremes.low[row], self.extremes.high[row]
        smallest, largest = float(low.min(initial=np.inf)), float(high.max(initial=-np.inf))
        return Witness(
            position,
            row_id,
            SPLITS[self.splits[row]],
            self.labels.name(row),
            notes(row, self.faults, self.features),
            smallest if np.isfinite(smallest) else np.nan,
            largest if np.isfinite(largest) else np.nan,
        )


def _types(block: Block) -> dict[str, str]:
    manifest = block.manifest
    found = {field.name: str(field.type) for field in block.table.schema}
    stand_ins = {manifest.id: "string"} if manifest.id == POSITION else {}
    stand_ins |= {manifest.label: "string"} if manifest.label == NO_LABEL else {}
    return {**found, **stand_ins, "split": str(block.split.type)}


def _without_id(block: Block) -> Mask:
    name = block.manifest.id
    if name == POSITION:
        return np.zeros(block.table.num_rows, bool)
    found: Mask = block.table.column(name).is_null().to_numpy()
    return found
