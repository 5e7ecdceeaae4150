"""The steps of this folder, free of KFP.

Each function imports its own libraries: Great Expectations takes seconds, and few need it.
"""

from pathlib import Path
from typing import Any

from components.shared import events
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe import DataSpec, Recipe, ValidationSpec, parse_section
from components.shared.recipe.graph import check_graph
from components.shared.registered import RegisteredModel


def check_recipe(sections: dict[str, Any], compiled: dict[str, Any], output: Path) -> Recipe:
    """Validate a whole recipe that arrived as pipeline parameters, and write it as JSON.

    Args:
        sections: the recipe's fields.
        compiled: what the steps of the pipeline were decided by, at the time of compiling.
        output: file for the recipe.

    Raises:
        SystemExit: with status 2, where the recipe is not valid; the message names the fields.
    """
    with events.step("check_recipe"):
        recipe = parse_section(Recipe, sections, "")
        check_graph(recipe, compiled)
        write_atomically(output, recipe.model_dump_json(indent=2, exclude_none=True))
        return recipe


def resolve(uri: str, data: dict[str, Any], folder: Path, digest_path: Path) -> dict[str, Any]:
    """Resolve a data set into ``folder`` and write its digest to ``digest_path``.

    Args:
        uri: where the rows are.
        data: the recipe's ``data`` section without ``uri``.
        folder: the dataset artifact.
        digest_path: file for the digest.

    Returns:
        The artifact's metadata: the digest, and the rows of each split.
    """
    from components.data_validation.resolve import resolve as resolve_data

    with events.step("resolve_dataset"):
        spec = parse_section(DataSpec, {**data, "uri": uri}, "data")
        manifest = resolve_data(spec, folder)
        write_atomically(digest_path, manifest.digest)
        events.emit("resolved", digest=manifest.digest, rows=manifest.rows)
        return {"digest": manifest.digest, "rows": dict(manifest.rows)}


def validate(
    folder: Path,
    digest: str,
    validation: dict[str, Any],
    result: Path,
    docs: Path,
    checked: Path,
    checked_digest: Path,
    champion: Path | None = None,
) -> dict[str, Any]:
    """Check the data set in ``folder``, and take out the rows that are to be quarantined.

    Args:
        folder: the dataset artifact.
        digest: what it was resolved to.
        validation: the recipe's ``validation`` section.
        result: folder for ``validation.json``, ``data_profile.json`` and ``quarantine.parquet``.
        docs: folder for the Data Docs.
        checked: folder for the data set without the rows that are taken out.
        checked_digest: file for its digest; the same as ``digest`` where there are none.
        champion: folder of the present champion, as fetch_champion wrote it.

    Returns:
        The result's metadata: digests, suite hash, and the numbers of checks, warnings and rows
        that were taken out.

    Raises:
        SystemExit: with status 2, where a check failed; the messages are the reasons.
    """
    from components.data_validation.validate import validate as validate_data

    with events.step("validate_data"):
        spec = parse_section(ValidationSpec, validation, "validation")
        found = Dataset.open(folder).manifest.digest
        if found != digest:
            raise UserError(f"{folder}: holds the data set {found}, not {digest}; resolve it again")
        outcome = validate_data(folder, spec, result, docs, checked=checked, champion=champion)
        write_atomically(checked_digest, outcome.checked_digest)
        for check in (*outcome.warnings, *outcome.quarantines):
            events.emit(
                "validation_warning", check=check.name, status=check.status, message=check.message
            )
        for note in outcome.notes:
            events.emit("validation_note", message=note)
        counts = {
            "checks": len(outcome.checks),
            "warnings": len(outcome.warnings),
            "quarantined": outcome.quarantined,
        }
        events.emit("validated", digest=digest, checked_digest=outcome.checked_digest, **counts)
        return {
            "digest": digest,
            "checked_digest": outcome.checked_digest,
            "suite_hash": outcome.suite_hash,
            **counts,
        }


def collect_rows(
    sections: dict[str, Any], champion: Path, challenger: Path, folder: Path
) -> dict[str, Any]:
    """Collect the fresh rows on which two registered models are to be compared.

    Args:
        sections: the fields of :class:`FreshRowsSpec`; an empty text means the default.
        champion: folder of the champion, as fetch_version wrote it.
        challenger: folder of the challenger.
        folder: the artifact.

    Returns:
        The artifact's metadata: the digest, and how many rows there are.

    Raises:
        SystemExit: with status 2, where there are no such rows, or they cannot be used.
    """
    from components.data_validation.fresh.collect import fresh_rows
    from components.data_validation.fresh.spec import FreshRowsSpec

    with events.step("collect_rows"):
        given = {name: value for name, value in sections.items() if value != ""}
        spec = parse_section(FreshRowsSpec, given, "")
        found = fresh_rows(
            spec,
            RegisteredModel.read("champion", champion),
            RegisteredModel.read("challenger", challenger),
            folder,
        )
        counts = found.model_dump(include={"labelled", "unlabelled", "earlier", "left_out_known"})
        events.emit("collected", digest=found.digest, **counts)
        return {"digest": found.digest, **counts}
