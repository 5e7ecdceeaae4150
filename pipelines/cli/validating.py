"""``kubedistill validate``: check a recipe and its data without training anything."""

import contextlib
import io
import tempfile
from pathlib import Path

from rich.markup import escape

from components.shared.errors import UserError
from components.shared.recipe import Recipe
from pipelines.cli.console import console, print_json

_DATA_DOCS = {"expectations", "index.html", "static", "validations"}
"""What is in a folder of Data Docs."""


def validate_recipe(recipe: Recipe, docs: Path | None, as_json: bool) -> int:
    """Resolve and validate the data as a run would, and say what was found.

    Raises:
        UserError: the data fail a check, or the folder for the pages holds something else.
    """
    # An existing folder is replaced as a whole.
    if docs is not None and docs.exists() and {p.name for p in docs.iterdir()} - _DATA_DOCS:
        raise UserError(f"--docs {docs}: holds other files; name a folder that is new or empty")
    console.print("checking the data …")
    from components.data_validation.resolve import resolve

    with tempfile.TemporaryDirectory(prefix="kubedistill-") as temporary:
        folder = Path(temporary)
        with contextlib.redirect_stdout(io.StringIO()):
            manifest = resolve(recipe.data, folder / "dataset")
            # Great Expectations takes seconds to import; a wrong path is said before.
            from components.data_validation.validate import validate

            result = validate(
                folder / "dataset",
                recipe.validation,
                folder / "validation.json",
                docs or folder / "docs",
            )
    if as_json:
        print_json({"recipe": recipe.name, **result.model_dump(mode="json"), "rows": manifest.rows})
    rows = ", ".join(f"{count:,} {split}" for split, count in manifest.rows.items())
    classes = escape(", ".join(manifest.classes))
    console.print(f"[green]valid[/]: {rows} rows; classes {classes}", soft_wrap=True)
    console.print(f"{len(result.checks)} checks passed; digest {manifest.digest[:12]}")
    if docs is not None:
        console.print(str(docs / "index.html"), markup=False, soft_wrap=True)
    return 0
