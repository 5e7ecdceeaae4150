"""``kubedistill validate``: check a recipe and its data without training anything."""

import contextlib
import io
import tempfile
from pathlib import Path

from rich.markup import escape

from components.shared.errors import UserError
from components.shared.recipe import Recipe
from components.shared.recipe.student import StageSpec, stages
from pipelines.cli.console import console, print_json, say
from pipelines.layer_check import check_layers

_DATA_DOCS = {"expectations", "index.html", "static", "validations"}
"""What is in a folder of Data Docs."""


def _chain(recipe: Recipe) -> str:
    """The models on the way from teacher to student, and how each learns; empty where none is."""
    before = stages(recipe.student, recipe.distillation)
    if not before:
        return ""
    own = StageSpec(recipe.student, recipe.distillation)
    named = [f"{stage.student.model.family} ({_method(stage)})" for stage in (*before, own)]
    return " to ".join(["the teacher", *named[:-1], f"the student, {named[-1]}"])


def _method(stage: StageSpec) -> str:
    kinds = [objective.kind for objective in stage.distillation.objectives]
    return " + ".join(kinds) or "auto"


def validate_recipe(recipe: Recipe, docs: Path | None, as_json: bool) -> int:
    """Resolve and validate the data as a run would, and say what was found.

    Raises:
        UserError: the data fail a check, or the folder for the pages holds something else.
    """
    # An existing folder is replaced as a whole.
    if docs is not None and docs.exists() and {p.name for p in docs.iterdir()} - _DATA_DOCS:
        raise UserError(f"--docs {docs}: holds other files; name a folder that is new or empty")
    say("checking the data …")
    from components.data_validation.resolve import resolve

    with tempfile.TemporaryDirectory(prefix="kubedistill-") as temporary:
        folder = Path(temporary)
        with contextlib.redirect_stdout(io.StringIO()):
            manifest = resolve(recipe.data, folder / "dataset")
            check_layers(recipe, manifest.input)
            # Great Expectations takes seconds to import; a wrong path is said before.
            from components.data_validation.validate import validate

            result = validate(
                folder / "dataset",
                recipe.validation,
                folder / "result",
                docs or folder / "docs",
            )
    if as_json:
        print_json({"recipe": recipe.name, **result.model_dump(mode="json")})
    rows = ", ".join(f"{count:,} {split}" for split, count in result.rows.items())
    classes = escape(", ".join(manifest.classes))
    console.print(f"[green]valid[/]: {rows} rows; classes {classes}", soft_wrap=True)
    if chain := _chain(recipe):
        say(f"labels go from {chain}")
    for remark in result.remarks:
        say(remark, style="yellow")
    passed = sum(check.success for check in result.checks)
    say(f"{passed} of {len(result.checks)} checks passed; digest {manifest.digest[:12]}")
    if docs is not None:
        say(str(docs / "index.html"))
    return 0
