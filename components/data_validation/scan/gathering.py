"""Everything that the checks are judged on, gathered from a data set."""

import tempfile
from pathlib import Path

from components.data_validation.quarantine.policies import policies_that_quarantine
from components.data_validation.scan.equals import Equals, positions_of
from components.data_validation.scan.found import Scan
from components.data_validation.scan.keys import KeyTable
from components.data_validation.scan.lookup import look_up
from components.data_validation.scan.scanning import Own, Scanner
from components.shared.dataset import DatasetManifest
from components.shared.recipe import ValidationSpec


def scan_of(manifest: DatasetManifest, folder: Path, spec: ValidationSpec, own: Own) -> Scan:
    """Read all rows once, and single ones again that are equal to others.

    Args:
        manifest: of the data set.
        folder: where it lies.
        spec: the limits.
        own: the expectations of the recipe.
    """
    rows = sum(shard.rows for shard in manifest.shards)
    with (
        tempfile.TemporaryDirectory(prefix="kubedistill-keys-") as keys,
        KeyTable(Path(keys), "ids", 3, rows) as ids,
        KeyTable(Path(keys), "contents", 4, rows) as contents,
    ):
        scan = Scanner(manifest, spec, ids, contents).read(folder, own)
        Equals(scan, policies_that_quarantine(spec)).find(ids, contents)
    equal = {
        position
        for tally in scan.tallies.values()
        for position in (*positions_of(tally.pairs), *tally.examples)
    }
    for witness in look_up(manifest, folder, equal - set(scan.witnesses)):
        scan.witnesses[witness.position] = witness
    return scan
