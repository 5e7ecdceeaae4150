"""Which registered model a command is about, and how its failures are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from components.shared.errors import StepFailed, UserError
from components.shared.recipe import RegistrySpec, load_recipe
from pipelines.cli.console import choose_tracking_uri


@dataclass(frozen=True)
class Chosen:
    """What was named: a registered model, or a recipe."""

    registry: RegistrySpec
    with_hooks: bool
    """Whether it is a recipe's own section, whose webhooks and service count, also where it has
    none; otherwise those count that were recorded with the versions."""


def choose_registry(model: str, alias: str | None, tracking_uri: str | None) -> Chosen:
    """The registered model and alias that were named, or those of a recipe file.

    Args:
        model: name of a registered model, or path of a recipe.
        alias: the alias that serving reads; null for the recipe's, or ``champion``.
        tracking_uri: MLflow server or store; becomes the environment's.

    Raises:
        UserError: the recipe cannot be read, or MLflow reserves the alias.
    """
    choose_tracking_uri(tracking_uri)
    if model.endswith((".yaml", ".yml")):
        registry = load_recipe(Path(model)).registry
        if alias is None:
            return Chosen(registry, with_hooks=True)
        model = registry.model
    return Chosen(_named(model, alias or "champion"), with_hooks=False)


@contextmanager
def as_command_failures() -> Iterator[None]:
    """Tell failures of the registry in one line.

    Raises:
        StepFailed: MLflow or the lock cannot be reached, or somebody else was faster.
    """
    from components.registration.client import TrackingError
    from components.registration.locking.lock import LockBusy, LockLost, LockUnavailable
    from components.registration.promotion.subject import ChampionMoved

    try:
        yield
    except (TrackingError, LockBusy, LockLost, LockUnavailable, ChampionMoved) as error:
        raise StepFailed(str(error)) from error


def _named(model: str, alias: str) -> RegistrySpec:
    try:
        return RegistrySpec(model=model, alias=alias)
    except ValidationError as error:
        (first, *_) = error.errors()
        given = "MODEL" if first["loc"] == ("model",) else "--alias"
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{given} {first['input']!r}: {message}") from error
