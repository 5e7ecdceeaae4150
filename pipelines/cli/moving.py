"""``kubedistill promote``, ``reject``, ``rollback``, ``history --accept``: moves made by people."""

import contextlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from components.shared.errors import StepFailed, UserError
from components.shared.recipe import RegistrySpec
from pipelines.cli.console import print_json, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.registries import as_command_failures

if TYPE_CHECKING:
    from components.registration.promotion.commands import Done
    from components.registration.promotion.registered import Registered


def promote_version(
    registry: RegistrySpec,
    version: str | None,
    reason: str | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Promote, and say what was done.

    Raises:
        UserError: the version may not be promoted; nothing was changed.
        StepFailed: MLflow or the lock cannot be reached.
    """
    from components.registration.promotion.commands import promote

    return _move(
        registry,
        lambda model: promote(model, version, reason=reason, force=force, dry_run=dry_run),
        dry_run,
        as_json,
    )


def reject_version(
    registry: RegistrySpec, version: str | None, reason: str, dry_run: bool, as_json: bool
) -> int:
    """Reject, and say what was done.

    Raises:
        UserError: the version does not wait, or no reason is given; nothing was changed.
        StepFailed: MLflow or the lock cannot be reached.
    """
    from components.registration.promotion.commands import reject

    return _move(
        registry,
        lambda model: reject(model, version, reason=reason, dry_run=dry_run),
        dry_run,
        as_json,
    )


def roll_back_to(
    registry: RegistrySpec, version: str | None, reason: str | None, dry_run: bool, as_json: bool
) -> int:
    """Roll back, and say what was done.

    Raises:
        UserError: there is no such former champion; nothing was changed.
        StepFailed: MLflow or the lock cannot be reached.
    """
    from components.registration.promotion.commands import roll_back

    return _move(
        registry,
        lambda model: roll_back(model, version, reason=reason, dry_run=dry_run),
        dry_run,
        as_json,
    )


def accept_damaged(registry: RegistrySpec, reason: str, as_json: bool) -> int:
    """Let a damaged history go on.

    Raises:
        UserError: no reason is given, or the history is intact.
        StepFailed: MLflow or the lock cannot be reached.
    """
    from components.registration.promotion.commands import accept

    return _move(registry, lambda model: accept(model, reason), False, as_json)


def _move(
    registry: RegistrySpec,
    move: Callable[["Registered"], "Done"],
    dry_run: bool,
    as_json: bool,
) -> int:
    from components.registration.promotion.registered import registered

    # What steps would log is for their log.
    with (
        as_command_failures(),
        contextlib.redirect_stdout(io.StringIO()),
        registered(registry) as model,
    ):
        done = move(model)
        say(done.summary)
        if not dry_run:
            _follow_up(model, done)
    if as_json:
        made = done.entry and done.entry.move.model_dump(mode="json")
        print_json({"summary": done.summary, "move": made})
    return ExitStatus.DONE


def _follow_up(model: "Registered", done: "Done") -> None:
    """Tell others, and let KServe serve the champion, also where an earlier command could not."""
    from components.registration.announcing import Announcer, recorded_registry
    from components.registration.hooks.kserve import ApplyFailed

    registry, view = model.registry, model.ledger.read()
    if view is not None and not (registry.webhooks or registry.kserve):
        try:
            registry = recorded_registry(model.client, registry, view)
        except UserError as error:
            say(
                f"{error}, so that nobody is told; name the RECIPE instead of the MODEL",
                style="yellow",
            )
            return
    try:
        announcer = Announcer(model.client, model.ledger, registry, model.public_uri)
        before = done.entry.move.sequence - 1 if done.entry else model.view.last
        for failure in announcer.follow_up(listening_after=before):
            say(failure, style="yellow")
    except (ApplyFailed, UserError) as error:
        champion = view.aliases.get(registry.alias) if view else None
        raise StepFailed(
            f"the registry is as it should be, but others do not know: {error}. Once that is "
            f"mended: kubedistill promote {registry.model} {champion}"
        ) from error
