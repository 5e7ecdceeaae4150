"""Everything that the checks are judged on, gathered from a data set."""

import tempfile
from pathlib import Path

from components.data_validation.quarantine.policies import policies_that_quarantine
from components.data_validation.scan.equals import Equals, positions_of
from components.data_validation.scan.found import Scan
from components.data_validation.scan.keys import KeyTable
from components.data_validation.scan.lookup import look_up
from components.data_validation.scan.scanning import Own, Scanner, block_rows
from components.shared.blocks import read_blocks
from components.shared.dataset import SPLITS, DatasetManifest
from components.shared.recipe import ValidationSpec


def scan_of(manifest: DatasetManifest, folder: Path, spec: ValidationSpec, own: Own) -> Scan:
    """Read all rows once, and single ones again that are equal to others.

    Columns that the recipe expects something of are read again where rows are taken out for being
    equal to others, which is known at the end.

    Args:
        manifest: of the data set.
        folder: where it lies.
        spec: the limits.
        own: the expectations of the recipe.

    Raises:
        UserError: a shard is gone, damaged, or no longer has the content that was resolved; there
            is no room for temporary files.
        StorageFailed: the storage of a shard is out of reach.
    """
    rows = sum(shard.rows for shard in manifest.shards)
    with (
        tempfile.TemporaryDirectory(prefix="kubedistill-keys-") as keys,
        KeyTable(Path(keys), "ids", 3, rows) as ids,
        KeyTable(Path(keys), "contents", 4, rows) as contents,
    ):
        scan = Scanner(manifest, spec, ids, contents).read(folder, own)
        some_out = Equals(scan, policies_that_quarantine(spec)).find(ids, contents)
    if some_out:
        scan.training.drop(scan.taken)
        scan.test.drop(scan.taken)
        _look_again(scan, folder, own)
    equal = {
        position
        for tally in scan.tallies.values()
        for position in (*positions_of(tally.pairs), *tally.examples)
    }
    for witness in look_up(manifest, folder, equal - set(scan.witnesses)):
        scan.witnesses[witness.position] = witness
    return scan


def _look_again(scan: Scan, folder: Path, own: Own) -> None:
    """Let the expectations of whole columns see the rows that are left, and no others."""
    columns = own.restart()
    if not columns:
        return
    manifest = scan.manifest
    for block in read_blocks(manifest, folder, columns, block_rows(manifest)):
        inside = block.of(SPLITS)
        own.add(inside, ~scan.taken.among(inside.positions()))
