"""The commands, their options, and the exit status of each way to end.

Commands import what they need when they run, so that ``kubedistill --help`` answers at once.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from components.shared.errors import StepFailed, UserError
from components.shared.recipe import Recipe, load_recipe
from pipelines.cli.console import console, print_json
from pipelines.cli.exit_status import ExitStatus

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Distil a student from a teacher, measure it, and promote it only when it has earned it.",
    epilog="Exit status: 0 done (run: promoted), 1 something broke, 2 wrong input, "
    "3 the gates rejected the student.",
)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe file (YAML).")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Override a field of the recipe, such as seed=1."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="MLflow server or store; by default MLFLOW_TRACKING_URI, or else "
        ".kubedistill/mlflow.db in this folder."
    ),
]


@app.command()
def run(
    recipe: RecipePath,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results; by default runs/<name of the recipe>.", file_okay=False
        ),
    ] = None,
    overrides: Overrides = None,
    tracking_uri: TrackingUri = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every gate of every form of the student.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Run a recipe on this machine: train, measure, judge, and promote or reject."""
    from pipelines.cli.running import run_recipe

    loaded = _load(recipe, overrides)
    _need("great_expectations", "mlflow", "onnxruntime", "torch")
    return run_recipe(loaded, output or Path("runs") / loaded.name, tracking_uri, as_json, explain)


@app.command("compile")
def compile_(
    recipe: RecipePath,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write; by default standard output.", dir_okay=False
        ),
    ] = None,
    overrides: Overrides = None,
) -> int:
    """Compile a recipe to a Kubeflow pipeline (YAML)."""
    from components.shared.files import write_atomically
    from pipelines.compiling import compile_recipe, refuse_relative_paths

    loaded = load_recipe(recipe, overrides or ())
    refuse_relative_paths(loaded)
    text = compile_recipe(loaded)
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text)
        console.print(f"wrote {output}", markup=False, soft_wrap=True)
    return 0


@app.command()
def validate(
    recipe: RecipePath,
    overrides: Overrides = None,
    as_json: AsJson = False,
    docs: Annotated[
        Path | None,
        typer.Option(help="Folder for the validation's HTML pages (Data Docs).", file_okay=False),
    ] = None,
) -> int:
    """Check a recipe and its data; trains nothing."""
    from pipelines.cli.validating import validate_recipe

    loaded = _load(recipe, overrides)
    _need("great_expectations")
    return validate_recipe(loaded, docs, as_json)


@app.command()
def status(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RECIPE", help="Registered model, or a recipe file.")
    ],
    alias: Annotated[
        str | None, typer.Option(help="The alias that serving reads; by default champion.")
    ] = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Show a model's champion, its figures, and how it got there."""
    from pipelines.cli.showing import show_status

    _need("mlflow")
    name, default_alias = model, "champion"
    if model.endswith((".yaml", ".yml")):
        registry = load_recipe(Path(model)).registry
        name, default_alias = registry.model, registry.alias
    return show_status(name, alias or default_alias, tracking_uri, as_json)


@app.command()
def init(
    data: Annotated[
        Path,
        typer.Argument(help="Parquet file or folder, or a folder of images in class folders."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Recipe to write; by default <name of the data>.yaml.",
            dir_okay=False,
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column with the class.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Column with a unique id.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the recipe.")] = False,
) -> int:
    """Look at a data set and write a first recipe for it."""
    from pipelines.cli.initialising import write_first_recipe

    return write_first_recipe(data, output, label=label, id_column=id_column, force=force)


@app.command()
def schema() -> int:
    """Print the JSON Schema of recipes, for editors."""
    from components.shared.recipe import recipe_schema

    sys.stdout.write(recipe_schema())
    return 0


def main() -> None:
    """Run the command line, and leave with the status that the design gives each ending."""
    as_json = "--json" in sys.argv
    try:
        status = app(standalone_mode=False) or 0
        if status != ExitStatus.INTERRUPTED:  # which is all that Typer makes of Ctrl-C
            sys.exit(status)
        message = "interrupted"
    except UserError as error:
        status, message = ExitStatus.USER_ERROR, str(error)
    except StepFailed as error:
        status, message = ExitStatus.BROKEN, str(error)
    except (typer.Abort, KeyboardInterrupt):
        status, message = ExitStatus.INTERRUPTED, "interrupted"
    except Exception as error:
        status, message = _usage_status(error)
    if as_json:
        print_json({"error": message, "exit_status": status})
    console.print(f"[bold red]error:[/] {_escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(status)


def _usage_status(error: Exception) -> tuple[int, str]:
    """Typer's usage errors are the user's; anything else is a bug, and keeps its traceback."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        raise error
    # Without any argument the help has been printed already, and there is no message.
    message = format_message()
    return ExitStatus.USER_ERROR, f"{message} (see --help)" if message else "a command is missing"


def _load(path: Path, overrides: list[str] | None) -> Recipe:
    """A recipe for this machine, with absolute paths."""
    return load_recipe(path, overrides or (), absolute_paths=True)


def _need(*libraries: str) -> None:
    """Refuse what an installation without its optional groups cannot do."""
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise UserError(
            f"this needs {', '.join(missing)}; install kubedistill with its group for one machine: "
            "pip install 'kubedistill[local]'"
        )


def _escape(message: str) -> str:
    from rich.markup import escape

    return escape(message)
