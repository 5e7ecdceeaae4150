"""The command that looks at a cluster.

With it the app is whole, so that it is imported from here to be run.
"""

from pathlib import Path
from typing import Annotated

import typer

from components.shared.recipe import load_recipe
from pipelines.cli.app import AsJson, Overrides
from pipelines.cli.kubeflow_commands import Endpoint, app

__all__ = ["app"]

OptionalRecipe = Annotated[
    Path | None,
    typer.Argument(
        metavar="RECIPE", help="Recipe file (YAML), whose needs are looked for; else any's."
    ),
]
RunsNamespace = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Where runs are; by default kubedistill, or in a pod its own."
    ),
]


@app.command()
def doctor(
    recipe: OptionalRecipe = None,
    namespace: RunsNamespace = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(metavar="URI", help="MLflow server; by default MLFLOW_TRACKING_URI."),
    ] = None,
    endpoint: Endpoint = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> int:
    """Check a cluster before the first run, and say what to do; status 1 if a run would break."""
    from pipelines.cli.doctoring import examine_cluster
    from pipelines.doctor.examining import Surroundings

    loaded = load_recipe(recipe, overrides or ()) if recipe else None
    return examine_cluster(loaded, Surroundings(namespace, tracking_uri, endpoint), as_json)
