"""The commands on a recipe or a data set, and the options that commands share.

Commands import what they need when they run, so that ``kubedistill --help`` answers at once.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe
from pipelines.cli.console import say

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Distil a student from a teacher, measure it, and promote it only when it has earned it.",
    epilog="Exit status: 0 done (run: promoted, shadow: supported), 1 something broke, "
    "2 wrong input, 3 the gates, or fresh rows, speak against the student.",
)

STORAGE = ".kubedistill/storage"
"""Where a run on this machine keeps soft labels and checkpoints, unless the recipe says."""

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
        metavar="URI",
        help="MLflow server or store; by default MLFLOW_TRACKING_URI, or else "
        ".kubedistill/mlflow.db in this folder.",
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
    runner: Annotated[
        Literal["subprocess", "docker"],
        typer.Option(help="Run steps as processes, or in containers of their images."),
    ] = "subprocess",
    network: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Network of the containers, as docker run --network has it; by default the least "
            "that the recipe can do with: none, bridge or host.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="References of the images (JSON), by digest or tag; by default our names.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run a recipe on this machine: train, measure, judge, and promote or reject."""
    from pipelines.cli.running import ContainerOptions, run_recipe
    from pipelines.git import commit_of
    from pipelines.layer_check import check_layers
    from pipelines.outside_models import check_modules

    loaded = _load(recipe, overrides)
    containers = None
    if runner == "docker":
        from pipelines import image_references

        need("docker", group="docker")
        references = image_references.load(images, by_digest=False) if images else None
        containers = ContainerOptions(network, references)
    elif network is not None or images is not None:
        raise UserError("--network and --images are for containers; add --runner docker")
    else:
        need("great_expectations", "mlflow", "onnxruntime", "torch")
        check_modules(loaded)  # which containers have of their own
    check_layers(loaded)
    folder = output or Path("runs") / loaded.name
    return run_recipe(loaded, folder, tracking_uri, as_json, explain, commit_of(recipe), containers)


@app.command()
def compare(
    recipe: RecipePath,
    methods: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Methods, separated by commas: objectives such as kd,dkd,dist; several as one, "
            "such as kd+fitnet; auto; recipe for the recipe's own.",
        ),
    ] = "kd,dist,auto",
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many seeds, from the recipe's on.")
    ] = 3,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results; by default runs/<name of the recipe>-methods. What is "
            "done there already is not done again.",
            file_okay=False,
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> int:
    """Compare methods of distillation on the recipe's data; the registry is left alone."""
    from pipelines.cli.comparing import compare_methods

    loaded = _load(recipe, overrides)
    need("great_expectations", "onnxruntime", "torch")
    folder = output or Path("runs") / f"{loaded.name}-methods"
    return compare_methods(loaded, methods, seeds, folder, as_json)


@app.command("compile")
def compile_(
    recipe: RecipePath,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write; by default standard output.", dir_okay=False
        ),
    ] = None,
    form: Annotated[
        Literal["pipeline", "kubernetes"],
        typer.Option(
            "--format",
            help="For Kubeflow's API and UI, or as the objects Pipeline and PipelineVersion, for "
            "GitOps.",
        ),
    ] = "pipeline",
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="References of the images by digest (JSON); by default our names, by tag.",
        ),
    ] = None,
    overrides: Overrides = None,
) -> int:
    """Compile a recipe to a Kubeflow pipeline (YAML)."""
    from components.shared.files import write_atomically
    from pipelines import image_references
    from pipelines.compiling import compile_manifests, compile_recipe, refuse_relative_paths
    from pipelines.layer_check import check_layers

    loaded = load_recipe(recipe, overrides or ())
    refuse_relative_paths(loaded)
    check_layers(loaded)
    references = image_references.load(images) if images else None
    compiled = compile_manifests if form == "kubernetes" else compile_recipe
    text = compiled(loaded, images=references)
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text)
        say(f"wrote {output}")
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
    need("great_expectations")
    return validate_recipe(loaded, docs, as_json)


@app.command()
def init(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Parquet file or folder (s3:// too), or a folder of images in class folders.",
        ),
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
def suite(
    recipe: RecipePath,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File to write.", dir_okay=False),
    ] = Path("suite.yaml"),
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> int:
    """Infer expectations from the data of a recipe, for validation.suite."""
    from pipelines.cli.inferring import write_suite

    loaded = _load(recipe, overrides)
    need("great_expectations")
    return write_suite(loaded, recipe.parent, output, force)


@app.command()
def schema() -> int:
    """Print the JSON Schema of recipes, for editors."""
    from components.shared.recipe import recipe_schema

    sys.stdout.write(recipe_schema())
    return 0


def _load(path: Path, overrides: list[str] | None) -> Recipe:
    """A recipe for this machine, with absolute paths."""
    return load_recipe(path, overrides or (), absolute_paths=True, storage=STORAGE)


def need(*libraries: str, group: str = "local") -> None:
    """Refuse what an installation without its optional groups cannot do.

    Args:
        libraries: names of modules.
        group: that brings them.

    Raises:
        UserError: one is not installed.
    """
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise UserError(
            f"this needs {', '.join(missing)}; install kubedistill with its group {group}: "
            f"pip install 'kubedistill[{group}]'"
        )
