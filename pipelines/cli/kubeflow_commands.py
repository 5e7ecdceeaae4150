"""The commands that run recipes in Kubeflow: once, or at given times.

With them the app is whole, so that it is imported from here to be run.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from components.shared.recipe import load_recipe
from pipelines.cli.app import AsJson, Overrides, RecipePath
from pipelines.cli.registry_commands import app

if TYPE_CHECKING:
    from pipelines.kubeflow.order import Order

__all__ = ["app"]

_KUBEFLOW = "Kubeflow"

Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="API of Kubeflow Pipelines; by default KFP_ENDPOINT, or in a pod that of its cluster.",
        rich_help_panel=_KUBEFLOW,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where runs are, on an installation of several users; by default KFP_NAMESPACE, or "
        "in a pod its own.",
        rich_help_panel=_KUBEFLOW,
    ),
]
Experiment = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Experiment of Kubeflow; by default registry.experiment of the recipe.",
        rich_help_panel=_KUBEFLOW,
    ),
]
PipelineRoot = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="Where artifacts are kept; by default where the installation keeps them.",
        rich_help_panel=_KUBEFLOW,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Images by digest (JSON), as a build wrote it; by default by tag.",
        dir_okay=False,
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="MLflow server for the steps; by default their environment's MLFLOW_TRACKING_URI.",
    ),
]
ScheduleName = Annotated[
    str, typer.Argument(metavar="RECIPE|NAME", help="Recipe file, or the name in it.")
]


@app.command()
def submit(
    recipe: RecipePath,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Follow the run; status 0 promoted or passed, 3 rejected, 1 failed."
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="Of --wait; by default as long as it takes."),
    ] = None,
    patience: Annotated[
        float,
        typer.Option(
            min=1, metavar="SECONDS", help="Of --wait: how long Kubeflow may be out of reach."
        ),
    ] = 600,
    if_data_changed: Annotated[
        bool,
        typer.Option(
            "--if-data-changed",
            help="Only when no student of the data as they are now was judged before.",
        ),
    ] = False,
    if_stale: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Only when the champion is older, and no student was judged within that time: "
            "30d, 12h, 45m. With --if-data-changed: when either is so.",
        ),
    ] = None,
    images: Images = None,
    run_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="By default the recipe's. A run of the same name and content that is under way is "
            "followed instead of starting another.",
        ),
    ] = None,
    tracking_uri: TrackingUri = None,
    overrides: Overrides = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Append Markdown, for the summary of a CI job.", dir_okay=False
        ),
    ] = None,
    experiment: Experiment = None,
    pipeline_root: PipelineRoot = None,
    endpoint: Endpoint = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> int:
    """Run a recipe in Kubeflow."""
    from pipelines.cli.submitting import SubmitOptions, submit_recipe

    order = _order(
        recipe, overrides, images, tracking_uri, experiment, pipeline_root, name=run_name or ""
    )
    options = SubmitOptions(
        endpoint=endpoint,
        namespace=namespace,
        run_name=run_name,
        wait=wait,
        timeout_s=timeout,
        patience_s=patience,
        if_data_changed=if_data_changed,
        if_stale=if_stale,
        summary=summary,
        as_json=as_json,
    )
    return submit_recipe(order, options)


def _sets(arguments: list[str]) -> bool:
    """Whether they are those of ``set``: anything else is a command that was mistyped."""
    recipe = arguments[0].endswith((".yaml", ".yml"))
    return recipe or any(argument.partition("=")[0] == "--cron" for argument in arguments)


class _RecipeFirst(TyperGroup):
    """Takes ``schedule RECIPE --cron …`` for ``schedule set RECIPE --cron …``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and _sets(args):
            args = ["set", *args]
        return super().parse_args(ctx, args)


_schedule = typer.Typer(
    cls=_RecipeFirst,
    no_args_is_help=True,
    add_completion=False,
    help="Run recipes in Kubeflow at given times: schedule RECIPE --cron '0 3 * * 1'.",
)
app.add_typer(_schedule, name="schedule")


@_schedule.command("set")
def set_(
    recipe: RecipePath,
    cron: Annotated[
        str,
        typer.Option(
            metavar="EXPRESSION",
            help="Five fields as in crontab, or six with seconds first; in the time zone of the "
            "installation, by default UTC.",
        ),
    ],
    images: Images = None,
    tracking_uri: TrackingUri = None,
    overrides: Overrides = None,
    experiment: Experiment = None,
    pipeline_root: PipelineRoot = None,
    endpoint: Endpoint = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> int:
    """Run a recipe at given times, and at no others; 'set' may be left out."""
    from pipelines.cli.scheduling import schedule_recipe
    from pipelines.kubeflow.cron import for_kubeflow

    times = for_kubeflow(cron)
    order = _order(recipe, overrides, images, tracking_uri, experiment, pipeline_root, cron=times)
    return schedule_recipe(order, times, cron, endpoint, namespace, as_json)


@_schedule.command("list")
def list_(endpoint: Endpoint = None, namespace: Namespace = None, as_json: AsJson = False) -> int:
    """Show the recipes that are run at given times."""
    from pipelines.cli.scheduling import list_schedules

    return list_schedules(endpoint, namespace, as_json)


@_schedule.command()
def pause(
    recipe: ScheduleName,
    endpoint: Endpoint = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> int:
    """Keep a recipe from being run, until it is resumed."""
    from pipelines.cli.scheduling import pause

    return pause(_name(recipe), endpoint, namespace, as_json)


@_schedule.command()
def resume(
    recipe: ScheduleName,
    endpoint: Endpoint = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> int:
    """Run a recipe at its times again; what was missed is not made up for."""
    from pipelines.cli.scheduling import resume

    return resume(_name(recipe), endpoint, namespace, as_json)


@_schedule.command()
def delete(
    recipe: ScheduleName,
    endpoint: Endpoint = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> int:
    """Delete the schedule of a recipe; its runs stay."""
    from pipelines.cli.scheduling import remove

    return remove(_name(recipe), endpoint, namespace, as_json)


def _order(
    path: Path,
    overrides: list[str] | None,
    images: Path | None,
    tracking_uri: str | None,
    experiment: str | None,
    pipeline_root: str | None,
    **marks: str,
) -> "Order":
    """A recipe for a cluster, compiled."""
    from pipelines import image_references
    from pipelines.cli.console import say
    from pipelines.compiling import compile_recipe, refuse_relative_paths
    from pipelines.git import commit_of
    from pipelines.kubeflow.order import Order, checked_tracking_uri
    from pipelines.layer_check import check_layers

    recipe = load_recipe(path, overrides or ())
    refuse_relative_paths(recipe)
    check_layers(recipe)
    references = image_references.load(images) if images else None
    if references is None:
        say(
            "images are named by tag: where a tag has moved, Kubeflow's cache still answers for "
            "the image before; give --images",
            style="yellow",
        )
    return Order(
        recipe=recipe,
        compiled=compile_recipe(recipe, images=references),
        experiment=experiment or recipe.registry.experiment,
        service_account=recipe.resources.service_account,
        git_commit=commit_of(path),
        tracking_uri=checked_tracking_uri(tracking_uri),
        pipeline_root=pipeline_root,
        marks=marks,
    )


def _name(recipe: str) -> str:
    """The name of a recipe, or the name in a recipe file."""
    if recipe.endswith((".yaml", ".yml")):
        return load_recipe(Path(recipe)).name
    return recipe
