"""Which rows a model was trained or tested on: the ids in the data set of its recipe."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from components.data_validation.checked import checked_data
from components.shared.blocks import read_blocks
from components.shared.dataset import SPLITS, Dataset, DatasetManifest
from components.shared.errors import UserError
from components.shared.recipe import POSITION, DataSpec, ValidationSpec, parse_section
from components.shared.registered import RegisteredModel
from components.shared.results.comparison import Role

_CHUNK = 65536


class UnknownRowsError(Exception):
    """The ids are not to be had; the message says why, as the end of a sentence."""


def known_ids(models: Sequence[RegisteredModel]) -> dict[Role, pa.Array | str]:
    """Ids of the rows that each model was trained or tested on, or why they are not to be had.

    A data set is resolved again from its recipe, and checked again where that took rows out. It has
    to be the very one, by its digest: where rows were added since, which of them are new cannot be
    told. Models of the same data set share the work.
    """
    found: dict[str, pa.Array | str] = {}
    for model in models:
        digest = model.deployable.dataset_digest
        if digest not in found:
            try:
                found[digest] = _ids(model)
            except UnknownRowsError as error:
                found[digest] = str(error)
    return {model.role: found[model.deployable.dataset_digest] for model in models}


def _ids(model: RegisteredModel) -> pa.Array:
    recipe, digest = model.record.recipe, model.deployable.dataset_digest
    if recipe is None:
        raise UnknownRowsError("its recipe is not recorded, or its MLflow run is gone")
    with tempfile.TemporaryDirectory() as name:
        try:
            data = parse_section(DataSpec, recipe.get("data", {}), "data")
            if data.id == POSITION:
                raise UnknownRowsError("they have no ids, only positions")
            limits = parse_section(ValidationSpec, recipe.get("validation", {}), "validation")
            folder = checked_data(data, limits, Path(name))
        except UserError as error:
            reason = " ".join(str(error).split())
            raise UnknownRowsError(f"its data set cannot be had any more ({reason})") from error
        manifest = Dataset.open(folder).manifest
        if manifest.digest != digest:
            raise UnknownRowsError(
                f"its data set has changed since (it was {digest[:12]}, and is "
                f"{manifest.digest[:12]} now)"
            )
        return _read_ids(manifest, folder)


def _read_ids(manifest: DatasetManifest, folder: Path) -> pa.Array:
    """Of all rows that are in a split."""
    blocks = read_blocks(manifest, folder, [manifest.id], _CHUNK)
    ids = [chunk for block in blocks for chunk in block.of(SPLITS).ids().chunks]
    return pa.chunked_array(ids, pa.string()).combine_chunks()
