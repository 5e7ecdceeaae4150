"""Single rows, read again by their positions."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from components.data_validation.scan.labels import read_labels
from components.data_validation.scan.tally import Witness
from components.shared.blocks import read_blocks
from components.shared.dataset import NO_LABEL, SPLITS, DatasetManifest
from components.shared.pieces import Piece
from components.shared.recipe import POSITION

_ROWS = 1024


def look_up(manifest: DatasetManifest, folder: Path, positions: Iterable[int]) -> list[Witness]:
    """Id, split and label of some rows, in order.

    Args:
        manifest: of the data set.
        folder: where it lies.
        positions: numbers of rows over the whole data set.

    Raises:
        UserError: a shard is gone, damaged, or changed.
        StorageFailed: its storage is out of reach.
    """
    before = [0, *accumulate(shard.rows for shard in manifest.shards)]
    pieces = []
    for position in sorted(set(positions)):
        shard = bisect_right(before, position) - 1
        start = position - before[shard]
        pieces.append(Piece(shard, start, start + 1))
    if not pieces:
        return []
    names = [name for name in (manifest.id, manifest.label) if name not in (POSITION, NO_LABEL)]
    found = []
    for block in read_blocks(manifest, folder, names, _ROWS, pieces):
        inside = block.of(SPLITS)
        labels = read_labels(inside)
        for row, position in enumerate(inside.positions().tolist()):
            row_id: object = f"row-{position}"
            if manifest.id != POSITION:
                row_id = inside.table.column(manifest.id)[row].as_py()
            found.append(
                Witness(
                    position,
                    None if row_id is None else str(row_id),
                    SPLITS[inside.splits[row]],
                    labels.name(row),
                )
            )
    return found
