"""Fresh rows: found, freed of what is not fresh, and written down as a data set."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.data_validation.fresh.checks import check_rows
from components.data_validation.fresh.known import known_ids
from components.data_validation.fresh.reading import Arrived, read_arrived
from components.data_validation.fresh.selection import Selection, select
from components.data_validation.fresh.spec import FreshRowsSpec
from components.data_validation.fresh.times import as_datetime, as_moment
from components.data_validation.resolve import describe
from components.data_validation.settling import settle
from components.data_validation.splitting import TEST, UNLABELLED
from components.shared.dataset import MANIFEST, NO_LABEL, DatasetManifest
from components.shared.errors import UserError
from components.shared.files import new_directory, write_atomically
from components.shared.manifest import NO_SPLIT, SplitNumbers
from components.shared.registered import RegisteredModel
from components.shared.results import FRESH_ROWS, FreshRows, KnownRows
from components.shared.results.comparison import Role

Known = Mapping[Role, pa.Array | str]
"""Ids of the rows that each model was trained or tested on, or why they are not to be had."""


def fresh_rows(
    spec: FreshRowsSpec, champion: RegisteredModel, challenger: RegisteredModel, folder: Path
) -> FreshRows:
    """Find the fresh rows and write their artifact: a manifest, and what is known of them.

    The files stay where they are. Labelled rows make up the split ``test``, others ``unlabelled``;
    rows that are left out are in none.

    Args:
        spec: where the rows are, and what makes them fresh.
        champion: one of the models that are to be compared on them.
        challenger: the other one, whose columns and classes the rows must have.
        folder: the artifact; an existing one is replaced, and left as it was on an error.

    Returns:
        What was written to ``fresh_rows.json``.

    Raises:
        UserError: there are no such rows, or the models cannot be measured on them; names column,
            file and row.
    """
    since = _since(spec, challenger)
    models = [champion, challenger]
    with new_directory(folder) as temporary:
        arrived = read_arrived(spec, challenger, temporary)
        known = _known(spec, arrived, models)
        selection = select(
            rows=len(arrived.labelled),
            ids=arrived.ids,
            moments=arrived.moments,
            since=None if since is None else as_moment(since),
            known={role: ids for role, ids in known.items() if not isinstance(ids, str)},
            leave_out_known=spec.leave_out_known,
        )
        if not selection.kept.any():
            raise UserError(f"{spec.uri}: no row is fresh: {_left_out(selection, since)}")
        split = _split(arrived, selection)
        classes = challenger.deployable.classes
        data, source = settle(arrived.data, arrived.source, split, temporary)
        manifest = describe(data, source, classes, split, temporary)
        write_atomically(temporary / MANIFEST, manifest.model_dump_json(indent=2))
        check_rows(manifest, temporary)
        result = _record(spec, since, arrived, selection, manifest, _told(models, known, selection))
        write_atomically(temporary / FRESH_ROWS, result.model_dump_json(indent=2))
    return result


def _since(spec: FreshRowsSpec, challenger: RegisteredModel) -> datetime | None:
    if spec.time is None:
        if spec.since is not None:
            raise UserError(
                f"rows since {spec.since.isoformat()} are asked for, but no time column is named "
                "to tell them by"
            )
        return None
    since = spec.since or challenger.record.registered_at
    if since is None:
        raise UserError("it is not recorded when the challenger was registered; say since when")
    return since


def _known(spec: FreshRowsSpec, arrived: Arrived, models: Sequence[RegisteredModel]) -> Known:
    if not spec.leave_out_known:
        return {}
    if arrived.ids is None:
        return {model.role: "the fresh rows have no ids, only positions" for model in models}
    return known_ids(models)


def _split(arrived: Arrived, selection: Selection) -> SplitNumbers:
    split = np.full(len(selection.kept), NO_SPLIT, np.int8)
    split[selection.kept] = UNLABELLED
    split[selection.kept & arrived.labelled] = TEST
    return split


def _told(models: Sequence[RegisteredModel], known: Known, selection: Selection) -> list[KnownRows]:
    return [
        KnownRows(
            role=model.role,
            dataset_digest=model.deployable.dataset_digest,
            rows=selection.known.get(model.role),
            why_unknown=ids if isinstance(ids := known[model.role], str) else "",
        )
        for model in models
        if model.role in known
    ]


def _record(
    spec: FreshRowsSpec,
    since: datetime | None,
    arrived: Arrived,
    selection: Selection,
    manifest: DatasetManifest,
    known: list[KnownRows],
) -> FreshRows:
    times = None if arrived.moments is None else arrived.moments[selection.kept]
    return FreshRows(
        source=spec.uri,
        digest=manifest.digest,
        id_column=None if arrived.ids is None else manifest.id,
        label_column=None if manifest.label == NO_LABEL else manifest.label,
        time_column=spec.time,
        since=since,
        first=None if times is None else as_datetime(times.min()),
        last=None if times is None else as_datetime(times.max()),
        found=len(selection.kept),
        earlier=selection.earlier,
        undated=selection.undated,
        repeated=selection.repeated,
        known=known,
        left_out_known=selection.left_out_known,
        labelled=manifest.rows["test"],
        unlabelled=manifest.rows["unlabelled"],
    )


def _left_out(selection: Selection, since: datetime | None) -> str:
    """Why rows were left out, in words."""
    reasons = {
        f"are from before {since.isoformat() if since else ''}": selection.earlier,
        "have no time": selection.undated,
        "have the id of another row": selection.repeated,
        "are among those that the models were trained or tested on": selection.left_out_known or 0,
    }
    return ", ".join(f"{count:,} {why}" for why, count in reasons.items() if count)
