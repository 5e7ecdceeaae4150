"""``kubedistill suite``: infer expectations from data that are known to be good."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe import Recipe
from pipelines.cli.console import say


def write_suite(recipe: Recipe, folder: Path, output: Path, force: bool) -> int:
    """Write what holds in the data, with some room, for people to edit.

    Args:
        recipe: what says where the data are.
        folder: of the recipe's file.
        output: the file to write.
        force: whether it may be there already.

    Raises:
        UserError: the data cannot be read, or the file exists already.
    """
    if output.exists() and not force:
        raise UserError(f"{output} exists already; choose another --output, or --force")
    say("reading the data …")
    from components.data_validation.custom.inferring import infer_suite
    from components.data_validation.resolve import resolve

    with (
        tempfile.TemporaryDirectory(prefix="kubedistill-") as scratch,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        resolve(recipe.data, Path(scratch) / "dataset")
        suite = infer_suite(Path(scratch) / "dataset", recipe.validation.sensitive)
    write_atomically(output, suite)
    say(f"wrote {output}")
    named = os.path.relpath(output.resolve(), folder.resolve())
    say(f"name it in the recipe: validation: {{suite: {named}}}")
    return 0
