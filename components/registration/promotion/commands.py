"""What a person or a workflow does to a registered model: promote, reject, roll back, accept."""

from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion

from components.registration import tags
from components.registration.promotion.evidence import (
    check_evidence,
    check_servable,
    subject_of,
)
from components.registration.promotion.moves import LONGEST_REASON, Action, Entry, HistoryTampered
from components.registration.promotion.registered import Registered
from components.registration.promotion.subject import ChampionMoved, Subject, expect_champion
from components.shared.errors import UserError


@dataclass(frozen=True)
class Done:
    """What a command did, or would do."""

    summary: str
    version: str | None
    """The version that it is about; null where it is about the history."""
    entry: Entry | None
    """The move; null where there was nothing to do, or nothing was to be done."""


def promote(
    model: Registered, number: str | None, *, reason: str | None, force: bool, dry_run: bool
) -> Done:
    """Make a version the champion: the challenger, unless another one is named.

    Args:
        model: the registered model.
        number: the version.
        reason: why; by default that it was approved.
        force: whatever the decision about it says, and whatever it was measured against.
        dry_run: only say what would be done.

    Raises:
        UserError: it may not be promoted, or there is no such version; nothing is changed.
    """
    _check_reason(reason, "--force" if force else None)
    finished = None if dry_run else _finish(model, "promote", number)
    if finished is not None:
        return finished
    name, alias, before = model.registry.model, model.registry.alias, model.champion
    version = model.version(number or _challenger(model))
    number = str(version.version)
    if before == number:
        return _already(model, number)
    subject = _promotable(model, version, force)
    if dry_run:
        return Done(f"dry run: would point @{alias} of {name} at version {number}", number, None)
    with model.moving() as session:
        session.promote(subject, reason or "approved", forced=force)
        after = f", before it was version {before}" if before else ""
        summary = f"{name} version {number} is now @{alias}{after}"
        return Done(summary, number, session.view.entries[-1])


def roll_back(model: Registered, number: str | None, *, reason: str | None, dry_run: bool) -> Done:
    """Make a former champion the champion again: the latest that exists, unless one is named.

    Raises:
        UserError: there is none to go back to, or its files are gone; nothing is changed.
    """
    _check_reason(reason)
    finished = None if dry_run else _finish(model, "rollback", number)
    if finished is not None:
        return finished
    name, alias, before = model.registry.model, model.registry.alias, model.champion
    version = model.version(number or _former(model))
    number = str(version.version)
    if before == number:
        return _already(model, number)
    _check_state(model, "rollback", number)
    check_servable(model.client, version)
    if dry_run:
        summary = f"dry run: would roll @{alias} of {name} back to version {number}"
        return Done(summary, number, None)
    with model.moving() as session:
        session.roll_back(subject_of(version, session.view), reason or "rolled back")
        left = f"; version {before} is rejected" if before else ""
        summary = f"{name} version {number} is @{alias} again{left}"
        return Done(summary, number, session.view.entries[-1])


def reject(model: Registered, number: str | None, *, reason: str, dry_run: bool) -> Done:
    """Turn a version down that waits: the challenger, unless another one is named.

    Raises:
        UserError: it does not wait.
    """
    _check_reason(reason, "reject")
    finished = None if dry_run else _finish(model, "reject", number)
    if finished is not None:
        return finished
    name = model.registry.model
    version = model.version(number or _challenger(model))
    number = str(version.version)
    _check_state(model, "reject", number)
    if dry_run:
        return Done(f"dry run: would reject version {number} of {name}", number, None)
    with model.moving() as session:
        session.reject(subject_of(version, session.view), reason)
        return Done(f"{name} version {number} is rejected", number, session.view.entries[-1])


def accept(model: Registered, reason: str) -> Done:
    """Let a history that was tampered with go on from the champion that there is.

    Raises:
        UserError: no reason is given, or the history is intact.
    """
    _check_reason(reason, "--accept")
    try:
        model.view.verify()
    except HistoryTampered:
        entry = model.accept_history(reason)
        name, number = model.registry.model, entry.move.sequence
        return Done(f"the history of {name} goes on with move {number}", None, entry)
    raise UserError(
        f"the history of {model.registry.model!r} is intact; there is nothing to accept"
    )


def _promotable(model: Registered, version: ModelVersion, force: bool) -> Subject:
    """The version, if it may be promoted."""
    if force:
        check_servable(model.client, version)
        return subject_of(version, model.view)
    name = model.registry.model
    _check_state(model, "promote", str(version.version))
    subject = check_evidence(model.client, version, model.view)
    try:
        expect_champion(name, model.registry.alias, model.champion, subject.compared_with)
    except ChampionMoved as error:
        raise UserError(
            f"version {subject.version} of {name!r} cannot be promoted: {error}. "
            "Run the pipeline again, or override this with --force --reason TEXT"
        ) from error
    return subject


def _already(model: Registered, number: str) -> Done:
    summary = f"{model.registry.model} version {number} is @{model.registry.alias} already"
    return Done(summary, number, None)


def _check_state(model: Registered, action: Action, number: str) -> None:
    refusal = model.view.standing.refusal(action, number)
    if refusal:
        raise UserError(f"{model.registry.model!r}: {refusal}")


def _finish(model: Registered, action: Action, number: str | None) -> Done | None:
    """Complete what is half-done; what was done, where it is the very move that is asked for."""
    completed = model.settle()
    if completed is None:
        return None
    move = completed.move
    if move.action != action or number not in {None, move.version}:
        return None
    return Done(
        f"completed move {move.sequence}, which was interrupted: {action} of version "
        f"{move.version}",
        move.version,
        completed,
    )


def _challenger(model: Registered) -> str:
    """The version that waits for approval."""
    alias = tags.challenger_alias(model.registry.alias)
    number = model.view.aliases.get(alias)
    if number is None:
        raise UserError(
            f"{model.registry.model!r} has no version at @{alias}, so none waits (@"
            f"{model.registry.alias} is {model.champion or 'none'}); name a VERSION"
        )
    return number


def _former(model: Registered) -> str:
    """The latest former champion that still exists."""
    for number in model.view.standing.formers:
        if model.ledger.exists(number):
            return number
    raise UserError(
        f"{model.registry.model!r} has no former champion to go back to; to serve another version, "
        "use promote VERSION"
    )


def _check_reason(reason: str | None, needed_for: str | None = None) -> None:
    if needed_for and not (reason or "").strip():
        raise UserError(f"{needed_for} needs --reason, which is kept in the model's history")
    if reason is not None and len(reason) > LONGEST_REASON:
        raise UserError(f"--reason is {len(reason)} characters long; at most {LONGEST_REASON} fit")
    if reason is not None and not reason.isprintable():
        raise UserError("--reason should be one line of text, without control characters")
