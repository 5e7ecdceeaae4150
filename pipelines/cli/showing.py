"""``kubedistill status``: a model's champion, its figures, and how it got there."""

from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from components.shared.errors import StepFailed, UserError
from components.shared.recipe import RegistrySpec
from pipelines.cli.console import choose_tracking_uri, console, print_json

if TYPE_CHECKING:
    from components.registration.status import Figures, Status, VersionStatus


def show_status(model: str, alias: str, tracking_uri: str | None, as_json: bool) -> int:
    """Print the state of a registered model.

    Raises:
        UserError: there is no such model.
        StepFailed: MLflow cannot be reached.
    """
    registry = _registry(model, alias)
    choose_tracking_uri(tracking_uri)
    from components.registration.client import TrackingError
    from components.registration.status import read_status

    try:
        status = read_status(registry, "")
    except TrackingError as error:
        raise StepFailed(str(error)) from error
    if as_json:
        print_json(status.model_dump(mode="json"))
        return 0
    _show(status)
    return 0


def _registry(model: str, alias: str) -> RegistrySpec:
    try:
        return RegistrySpec(model=model, alias=alias)
    except ValidationError as error:
        (first, *_) = error.errors()
        given = "MODEL" if first["loc"] == ("model",) else "--alias"
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{given} {first['input']!r}: {message}") from error


def _show(status: "Status") -> None:
    console.print(f"[bold]{status.model}[/] at {escape(status.tracking_uri)}", soft_wrap=True)
    if status.champion is None:
        console.print(f"no version has the alias {status.alias}")
    else:
        _show_champion(status.champion, status.alias)
        if status.figures is not None:
            _show_figures(status.figures)
    if status.former is not None:
        console.print(f"former champion: version {status.former.version}")
    console.print()
    console.print(_history(status.versions))


def _show_champion(champion: "VersionStatus", alias: str) -> None:
    console.print(f"[bold green]@{alias}[/] is version {champion.version}")
    took_over = (
        f"took over from version {champion.parent_version}"
        if champion.parent_version
        else "the first champion"
    )
    if champion.promoted_at is not None:
        took_over += f", promoted {champion.promoted_at:%Y-%m-%d %H:%M} UTC"
    console.print(f"  {took_over}, by run {champion.run_id}", markup=False, soft_wrap=True)
    for name, digest in (
        ("data", champion.dataset_digest),
        ("teacher", champion.teacher_digest),
        ("student", champion.student_digest),
    ):
        if digest:
            console.print(f"  {name} {digest[:12]}", markup=False)


def _show_figures(figures: "Figures") -> None:
    parts = [
        _figure("accuracy", figures.accuracy, "{:.1%}"),
        _figure("retention", figures.retention, "{:.1%}"),
        _figure("gap recovered", figures.gap_recovered, "{:.0%}"),
        _figure("p95", figures.latency_p95_ms, "{:.4f} ms"),
        _figure("parameters", figures.parameters, "{:,}"),
        _figure("size", figures.size_bytes, "{:,} B"),
    ]
    console.print("  " + ", ".join(part for part in parts if part), soft_wrap=True)


def _figure(name: str, value: float | None, form: str) -> str:
    return "" if value is None else f"{name} {form.format(value)}"


def _history(versions: "list[VersionStatus]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("version", "aliases", "registered", "promoted", "took over from", "run"):
        table.add_column(heading)
    for version in versions:
        promoted = version.promoted_at
        table.add_row(
            version.version,
            ", ".join(version.aliases),
            f"{version.registered_at:%Y-%m-%d %H:%M}",
            f"{promoted:%Y-%m-%d %H:%M}" if promoted else "",
            version.parent_version or "",
            version.run_id or "",
        )
    return table
