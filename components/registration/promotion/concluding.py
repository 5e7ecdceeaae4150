"""What a run comes to: by the verdict about its student, and by the registry's mode."""

from dataclasses import dataclass

from mlflow.entities import LoggedModel, Run
from mlflow.tracking import MlflowClient

from components.registration import hints, tags
from components.registration.locking.choosing import choose_lock
from components.registration.logged_model import logged_model
from components.registration.model_version import new_version
from components.registration.promotion.ledger import Ledger, View
from components.registration.promotion.moves import Entry, Move
from components.registration.promotion.session import exclusive
from components.registration.promotion.states import State, abandoned_by
from components.registration.promotion.subject import Subject, expect_champion
from components.registration.store import Store
from components.registration.submission import Submission
from components.shared.files import sha256_bytes
from components.shared.recipe import RegistrySpec
from components.shared.results import Outcome


@dataclass(frozen=True)
class Conclusion:
    """What was done in the registry."""

    outcome: Outcome
    summary: str
    version: str | None = None
    alias: str | None = None
    former: str | None = None
    record_digest: str | None = None


def conclude(client: MlflowClient, store: Store, run: Run, submission: Submission) -> Conclusion:
    """Register a student that passed, and promote it or let it wait; idempotent.

    An earlier attempt of the same run is continued. A rejected student changes nothing.

    Raises:
        ChampionMoved: it was measured against another champion than the present one; nothing is
            changed.
    """
    registry = submission.registry
    if submission.decision.verdict == "reject":
        return Conclusion("rejected", f"the registry of {registry.model!r} is as before")
    compared_with = submission.decision.champion_version
    ledger = Ledger(client, registry.model, registry.alias)
    view = ledger.read()
    if registry.promotion == "dry_run":
        # Nothing is settled here, so that the alias itself is what counts.
        champion = view.aliases.get(registry.alias) if view else None
        expect_champion(registry.model, registry.alias, champion, compared_with)
        return Conclusion("dry_run", _would(registry, compared_with))
    earlier = _earlier(view, submission) if view else None
    if earlier is None:
        champion = view.standing.champion if view else None
        expect_champion(registry.model, registry.alias, champion, compared_with)
    # Uploads stay outside the lock: they may be long.
    model = logged_model(client, run, submission)
    ledger.create_model()
    return _under_lock(client, store, ledger, run, model, submission)


def _under_lock(
    client: MlflowClient,
    store: Store,
    ledger: Ledger,
    run: Run,
    model: LoggedModel,
    submission: Submission,
) -> Conclusion:
    registry, reason = submission.registry, submission.decision.summary
    with exclusive(ledger, choose_lock(store, registry.model, registry.alias)) as session:
        earlier = _earlier(session.view, submission)
        if earlier is None:
            expect_champion(
                registry.model,
                registry.alias,
                session.view.standing.champion,
                submission.decision.champion_version,
            )
            subject = Subject(
                version=new_version(client, run, model, submission),
                run_id=submission.run_id,
                compared_with=submission.decision.champion_version,
                decision_digest=submission.decision_digest,
                model_digest=submission.decision.student_digest,
                recipe_digest=sha256_bytes(submission.recipe_yaml.encode()),
            )
            session.register(subject, "its gates passed")
            if registry.promotion == "approval":
                session.challenge(subject, reason)
            else:
                session.promote(subject, reason)
            earlier = session.view.entries[-1]
        return _done(registry, earlier, session.view)


def _earlier(view: View, submission: Submission) -> Entry | None:
    """The move that an earlier attempt of this run made of this very decision, and that took effect
    or still will."""
    action = "challenge" if submission.registry.promotion == "approval" else "promote"
    abandoned = abandoned_by(view.moves)
    return next(
        (
            found
            for found in view.entries
            if found.move.sequence not in abandoned
            and found.move.run_id == submission.run_id
            and found.move.action == action
            and found.move.decision_digest == submission.decision_digest
        ),
        None,
    )


def _done(registry: RegistrySpec, entry: Entry, view: View) -> Conclusion:
    move = entry.move
    if move.action == "challenge":
        challenger = tags.challenger_alias(registry.alias)
        return Conclusion(
            "challenger",
            _since(registry, move, view)
            or f"{registry.model} version {move.version} is @{challenger} and waits for approval: "
            f"{hints.command('promote', registry.model, registry.alias)}",
            move.version,
            challenger,
            record_digest=entry.digest,
        )
    return Conclusion(
        "promoted",
        _since(registry, move, view)
        or f"{registry.model} version {move.version} is now @{registry.alias}",
        move.version,
        registry.alias,
        move.champion_before,
        entry.digest,
    )


def _since(registry: RegistrySpec, move: Move, view: View) -> str | None:
    """What became of a version that an earlier attempt moved; null where it is there still."""
    done, there = "promoted", State.CHAMPION
    if move.action == "challenge":
        done, there = "made to wait for approval", State.CHALLENGER
    state = view.standing.states.get(move.version or "")
    if state in {None, there}:
        return None
    return (
        f"{registry.model} version {move.version} was {done} by move {move.sequence}; since then "
        f"its state has become {state}"
    )


def _would(registry: RegistrySpec, champion: str | None) -> str:
    taking_over = f"taking over from version {champion}" if champion else "as its first champion"
    return (
        f"dry run: would register a new version of {registry.model} and point @{registry.alias} "
        f"at it, {taking_over}"
    )
