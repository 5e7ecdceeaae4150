"""The commands on a registered model: what it is, what moves its alias, how versions differ.

With them the app is whole, so that it is imported from here to be run.
"""

from pathlib import Path
from typing import Annotated

import typer

from components.evaluation.comparing.policy import Policy
from components.shared.recipe import RegistrySpec
from pipelines.cli.app import AsJson, TrackingUri, app, need
from pipelines.cli.registries import Chosen

__all__ = ["app"]

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL|RECIPE", help="Registered model, or a recipe file.")
]
Version = Annotated[
    str | None, typer.Argument(metavar="VERSION", help="By default the challenger.")
]
Alias = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The alias that serving reads; by default champion."),
]
Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why; kept in the model's history.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]

_POLICY = Policy()
"""How fresh rows judge a challenger, where no option says otherwise."""


@app.command()
def status(
    model: ModelName,
    alias: Alias = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Show a model's champion, its figures, and how it got there."""
    from pipelines.cli.showing import show_status

    return show_status(_registry(model, alias, tracking_uri), as_json)


@app.command()
def history(
    model: ModelName,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Let a damaged history go on from here; needs --reason."),
    ] = False,
    reason: Reason = None,
    alias: Alias = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Show every move of the alias: when, which version, who and why."""
    from pipelines.cli.history import show_history
    from pipelines.cli.moving import accept_damaged

    chosen = _chosen(model, alias, tracking_uri)
    if accept:
        return accept_damaged(chosen, reason or "", as_json)
    return show_history(chosen.registry, as_json)


@app.command()
def diff(
    model: ModelName,
    first: Annotated[str, typer.Argument(metavar="A", help="Version, or an alias.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Version, or an alias.")],
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Show how two versions differ: figures, data, recipe, teacher, form, gates."""
    from pipelines.cli.diffing import show_diff

    return show_diff(_registry(model, None, tracking_uri), first, second, as_json)


@app.command()
def shadow(
    model: ModelName,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Parquet file or folder of fresh rows.")
    ],
    challenger: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="By default the one that waits for approval."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column with the class, null where it is not known; by default the "
            "recipe's, where the data have it.",
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="Column with a unique id; by default the recipe's, where the data have it.",
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column with the time at which a row arrived."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Leave out earlier rows; by default those from before "
            "the challenger was registered.",
        ),
    ] = None,
    keep_known: Annotated[
        bool,
        typer.Option("--keep-known", help="Keep rows that the models were trained or tested on."),
    ] = False,
    margin: Annotated[
        float,
        typer.Option(
            min=0, max=0.99, metavar="SHARE", help="Largest drop in accuracy that is tolerated."
        ),
    ] = _POLICY.margin,
    min_agreement: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Where labels are too few: least share of the rows with the champion's class.",
        ),
    ] = _POLICY.min_agreement,
    confidence: Annotated[
        float, typer.Option(min=0.51, max=0.9999, metavar="LEVEL", help="Level of each bound.")
    ] = _POLICY.confidence,
    min_rows: Annotated[
        int, typer.Option(min=1, metavar="ROWS", help="Fewer rows are not judged.")
    ] = _POLICY.min_rows,
    latency_budget: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For measuring latency.")
    ] = _POLICY.latency.budget_s,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results; by default runs/shadow-<model>.", file_okay=False
        ),
    ] = None,
    alias: Alias = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Compare the challenger with the champion on fresh rows; status 0 only if they support it."""
    from pipelines.cli.shadowing import ShadowOptions, compare_in_shadow

    registry = _registry(model, alias, tracking_uri)
    need("onnxruntime", "mlflow")
    options = ShadowOptions(
        registry=registry,
        challenger=challenger,
        data=data,
        id_column=id_column,
        label_column=label,
        time_column=time,
        since=since,
        keep_known=keep_known,
        policy=Policy(
            margin=margin,
            min_agreement=min_agreement,
            confidence=confidence,
            min_rows=min_rows,
            latency=_POLICY.latency.model_copy(update={"budget_s": latency_budget}),
        ),
    )
    return compare_in_shadow(options, output or Path("runs") / f"shadow-{registry.model}", as_json)


@app.command()
def promote(
    model: ModelName,
    version: Version = None,
    reason: Reason = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Whatever its gates said or it was measured against; needs --reason.",
        ),
    ] = False,
    dry_run: DryRun = False,
    alias: Alias = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Make a registered version the champion, after checking the decision about it again."""
    from pipelines.cli.moving import promote_version

    chosen = _chosen(model, alias, tracking_uri)
    return promote_version(chosen, version, reason, force, dry_run, as_json)


@app.command()
def reject(
    model: ModelName,
    version: Version = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    alias: Alias = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Turn down a version that waits for approval; needs --reason."""
    from pipelines.cli.moving import reject_version

    chosen = _chosen(model, alias, tracking_uri)
    return reject_version(chosen, version, reason or "", dry_run, as_json)


@app.command()
def rollback(
    model: ModelName,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="By default the champion before this one."),
    ] = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    alias: Alias = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Make a former champion the champion again; the present one counts as rejected."""
    from pipelines.cli.moving import roll_back_to

    chosen = _chosen(model, alias, tracking_uri)
    return roll_back_to(chosen, to, reason, dry_run, as_json)


def _registry(model: str, alias: str | None, tracking_uri: str | None) -> RegistrySpec:
    """The registered model that is meant, in the store that is meant."""
    return _chosen(model, alias, tracking_uri).registry


def _chosen(model: str, alias: str | None, tracking_uri: str | None) -> Chosen:
    """The same, with whether a recipe was named."""
    from pipelines.cli.registries import choose_registry

    need("mlflow")
    return choose_registry(model, alias, tracking_uri)
