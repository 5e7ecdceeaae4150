"""``kubedistill init``: look at a data set, and write a first recipe for it."""

import tempfile
from pathlib import Path

from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe import Recipe, load_recipe
from pipelines.cli.console import console
from pipelines.first_recipe import first_recipe, look_at


def write_first_recipe(
    data: str, output: Path | None, *, label: str | None, id_column: str | None, force: bool
) -> int:
    """Write the recipe, check that it loads, and say what to do next.

    Raises:
        UserError: the data cannot be read, or the recipe exists already.
    """
    found = look_at(data, label=label, id_column=id_column)
    path = output or Path(f"{found.name}.yaml")
    if path.exists() and not force:
        raise UserError(f"{path} exists already; choose another --output, or --force")
    text = first_recipe(found, path.resolve().parent)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        write_atomically(draft, text)
        recipe = load_recipe(draft)
    write_atomically(path, text)
    _show(recipe, found.notes)
    console.print(f"wrote {path}", markup=False, soft_wrap=True)
    console.print(f"next: kubedistill validate {path}", markup=False, soft_wrap=True)
    console.print(f"      kubedistill run {path}", markup=False, soft_wrap=True)
    return 0


def _show(recipe: Recipe, notes: list[str]) -> None:
    shape = "x".join(str(size) for size in recipe.data.input.shape)
    console.print(
        f"{recipe.data.input.kind} input {shape}, label column {recipe.data.label!r}",
        markup=False,
        soft_wrap=True,
    )
    for note in notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
