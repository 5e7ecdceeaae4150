"""The steps of this folder, free of KFP.

Each function imports its own libraries: Great Expectations takes seconds, and only one needs it.
"""

from pathlib import Path
from typing import Any

from components.shared import events
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe import DataSpec, Recipe, ValidationSpec, parse_section


def check_recipe(sections: dict[str, Any], compiled_teacher_source: str, output: Path) -> Recipe:
    """Validate a whole recipe that arrived as pipeline parameters, and write it as JSON.

    Args:
        sections: the recipe's fields.
        compiled_teacher_source: ``teacher.source`` at the time of compiling.
        output: file for the recipe.

    Raises:
        SystemExit: with status 2, where the recipe is not valid; the message names the fields.
    """
    with events.step("check_recipe"):
        recipe = parse_section(Recipe, sections, "")
        if recipe.teacher.source != compiled_teacher_source:
            raise UserError(
                f"teacher.source is {recipe.teacher.source}, but the pipeline was compiled for "
                f"{compiled_teacher_source}, and caches accordingly; compile the recipe again"
            )
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
    folder: Path, digest: str, validation: dict[str, Any], result_path: Path, docs: Path
) -> dict[str, Any]:
    """Check the data set in ``folder``; write the result as JSON and the Data Docs as HTML.

    Args:
        folder: the dataset artifact.
        digest: what it was resolved to.
        validation: the recipe's ``validation`` section.
        result_path: file for the result.
        docs: folder for the Data Docs.

    Returns:
        The result's metadata: data digest, suite hash and the number of checks.
    """
    from components.data_validation.validate import validate as validate_data

    with events.step("validate_data"):
        spec = parse_section(ValidationSpec, validation, "validation")
        found = Dataset.open(folder).manifest.digest
        if found != digest:
            raise UserError(f"{folder}: holds the data set {found}, not {digest}; resolve it again")
        result = validate_data(folder, spec, result_path, docs)
        events.emit("validated", digest=digest, checks=len(result.checks))
        return {
            "digest": digest,
            "suite_hash": result.suite_hash,
            "checks": len(result.checks),
        }
