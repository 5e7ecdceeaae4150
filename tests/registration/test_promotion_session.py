"""Moves under the lock: what they do to aliases and history, and what the next holder finds."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration.locking.choosing import choose_lock
from components.registration.locking.file_lock import FileLock
from components.registration.promotion.ledger import Ledger
from components.registration.promotion.moves import HistoryTampered
from components.registration.promotion.session import exclusive, settled_view
from components.registration.promotion.subject import ChampionMoved, Subject
from components.registration.promotion.writing import Writer
from components.registration.store import locate
from components.shared.errors import UserError

MODEL = "tiny-student"
WRITES = (
    "set_registered_model_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
)


class Died(BaseException):
    """Like kill -9: no handler for errors sees it."""


class Alias:
    """The alias of a registered model with three versions."""

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self.client = client
        self.lock = choose_lock(locate(uri), MODEL, "champion")
        self.ledger = Ledger(client, MODEL, "champion")
        self.ledger.create_model()
        for name in "abc":
            client.create_model_version(MODEL, f"file:///{name}")

    def session(self):
        return exclusive(self.ledger, self.lock)

    def promote(self, version: str, over: str | None = None, **options: bool) -> None:
        subject = Subject(version, compared_with=over)
        with self.session() as session:
            session.register(subject, "its gates passed")
            session.promote(subject, "its gates passed", **options)

    @property
    def aliases(self) -> dict[str, str]:
        view = self.ledger.read()
        assert view is not None
        return view.aliases

    @property
    def actions(self) -> list[tuple[str, str | None]]:
        view = self.ledger.read()
        assert view is not None
        view.verify()
        return [(move.action, move.champion_after) for move in view.moves]


@pytest.fixture
def alias(tracking) -> Alias:
    return Alias(tracking.client, tracking.uri)


def test_promotion_moves_the_alias_and_keeps_the_former_champion(alias):
    alias.promote("1")
    alias.promote("2", over="1")

    assert alias.aliases == {"champion": "2", "former-champion": "1"}
    assert alias.actions == [
        ("register", None),
        ("promote", "1"),
        ("register", "1"),
        ("promote", "2"),
    ]


def test_promotion_over_another_champion_than_the_measured_one_is_refused(alias):
    alias.promote("1")

    with pytest.raises(ChampionMoved, match="version 1 became the champion"):
        alias.promote("2")
    with pytest.raises(ChampionMoved, match="moved from 3 to 1"):
        alias.promote("2", over="3")

    assert alias.aliases == {"champion": "1"}


def test_forced_promotion_is_marked_as_such(alias):
    alias.promote("1")
    alias.promote("2", forced=True)

    view = alias.ledger.read()
    assert alias.aliases["champion"] == "2"
    assert [move.forced for move in view.moves] == [False, False, False, True]


def test_rollback_restores_one_after_the_other(alias):
    for version, over in (("1", None), ("2", "1"), ("3", "2")):
        alias.promote(version, over)

    with alias.session() as session:
        session.roll_back(Subject("2"), "errors in production")
    assert alias.aliases == {"champion": "2", "former-champion": "1"}
    with alias.session() as session:
        session.roll_back(Subject("1"), "still there")
    assert alias.aliases == {"champion": "1"}


def test_challenger_has_its_alias_until_it_is_promoted(alias):
    alias.promote("1")
    challenger = Subject("2", compared_with="1")
    with alias.session() as session:
        session.register(challenger, "passed")
        session.challenge(challenger, "passed")
    assert alias.aliases == {"champion": "1", "challenger": "2"}

    with alias.session() as session:
        session.promote(challenger, "approved")
    assert alias.aliases == {"champion": "2", "former-champion": "1"}


def test_rejected_challenger_loses_its_alias_and_cannot_be_promoted(alias):
    challenger = Subject("1")
    with alias.session() as session:
        session.register(challenger, "passed")
        session.challenge(challenger, "passed")
        session.reject(challenger, "looks wrong")

    assert alias.aliases == {}
    with alias.session() as session, pytest.raises(UserError, match="it is rejected"):
        session.promote(challenger, "approved")


def test_alias_that_was_moved_by_hand_is_in_the_history_afterwards(alias):
    alias.promote("1")
    alias.client.set_registered_model_alias(MODEL, "champion", "3")

    with pytest.raises(ChampionMoved, match="moved from 1 to 3"):
        alias.promote("2", over="1")

    assert ("external", "3") in alias.actions
    assert alias.aliases == {"champion": "3", "former-champion": "1"}


def test_champion_of_another_tool_is_adopted(alias):
    alias.client.set_registered_model_alias(MODEL, "champion", "2")

    alias.promote("3", over="2")

    assert alias.actions == [("external", "2"), ("register", "2"), ("promote", "3")]
    assert alias.aliases == {"champion": "3", "former-champion": "2"}


def test_history_outlives_its_versions(alias):
    alias.promote("1")
    alias.promote("2", over="1")
    alias.client.delete_model_version(MODEL, "2")
    alias.client.delete_model_version(MODEL, "1")

    view = settled_view(alias.ledger, alias.lock)

    assert alias.aliases == {}
    assert alias.actions[-1] == ("external", None)
    assert [move.version for move in view.moves] == ["1", "1", "2", "2", None]


def test_former_champion_that_was_deleted_has_no_alias(alias):
    for version, over in (("1", None), ("2", "1"), ("3", "2")):
        alias.promote(version, over)
    alias.client.delete_model_version(MODEL, "2")
    other = alias.client.create_model_version(MODEL, "file:///d")

    alias.promote(str(other.version), over="3")
    with alias.session() as session:
        session.roll_back(Subject("3"), "worse")

    assert alias.aliases == {"champion": "3", "former-champion": "1"}


@pytest.mark.parametrize("call", range(1, 12))
def test_whoever_comes_next_completes_what_a_killed_process_left(alias, monkeypatch, call):
    """Killed before its nth write to the registry."""
    alias.promote("1")
    before = alias.actions
    with monkeypatch.context() as patch:
        _die_before(patch, call)
        try:
            alias.promote("2", over="1")
            survived = True
        except Died:
            survived = False

    view = settled_view(alias.ledger, alias.lock)

    view.verify()
    assert view.settled == view.last
    assert alias.aliases["champion"] == view.standing.champion
    if ("promote", "2") in alias.actions:  # it was written down, so it is done
        assert alias.aliases == {"champion": "2", "former-champion": "1"}
    else:
        assert alias.aliases == {"champion": "1"}
        assert alias.actions[: len(before)] == before
    if not survived:
        alias_after_retry(alias)
    assert alias.actions.count(("promote", "2")) == 1


def alias_after_retry(alias: Alias) -> None:
    """A retry of the killed promotion ends as an undisturbed one, or finds it done."""
    if alias.aliases["champion"] != "2":
        alias.promote("2", over="1")
    assert alias.aliases == {"champion": "2", "former-champion": "1"}


def test_killed_promotion_of_a_version_that_is_deleted_then_does_not_happen(alias, monkeypatch):
    alias.promote("1")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_registered_model_alias", _die)
        with pytest.raises(Died):
            alias.promote("2", over="1")
    alias.client.delete_model_version(MODEL, "2")

    view = settled_view(alias.ledger, alias.lock)

    assert alias.aliases == {"champion": "1"}
    assert alias.actions[-2:] == [("promote", "2"), ("external", "1")]
    assert view.standing.formers == []


def test_promotion_that_never_took_effect_is_nothing_to_go_back_to(alias, monkeypatch):
    """Written down, then killed, then the alias was moved by hand."""
    alias.promote("1")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_registered_model_alias", _die)
        with pytest.raises(Died):
            alias.promote("2", over="1")
    alias.client.set_registered_model_alias(MODEL, "champion", "3")

    view = settled_view(alias.ledger, alias.lock)

    assert view.moves[-1].abandons == view.moves[-2].sequence
    assert view.standing.states["2"] == "archived"
    assert alias.aliases == {"champion": "3", "former-champion": "1"}
    assert ("promote", "2") not in [(e.move.action, e.move.version) for e in view.done]
    assert view.promoted_at("2") is None
    assert view.took_over_from("3") == "1"
    assert view.replaced_by("1") == "3"


def test_champion_that_was_moved_back_by_hand_stays_there_though_the_move_was_not_confirmed(
    alias, monkeypatch
):
    """A person puts the alias back in an emergency; whoever comes next must not undo that."""
    alias.promote("1")
    with alias.session() as session:
        session.register(Subject("2", compared_with="1"), "passed")
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "settle", _die)
        with pytest.raises(Died):
            alias.promote("2", over="1")
    assert alias.aliases == {"champion": "2", "former-champion": "1"}
    alias.client.set_registered_model_alias(MODEL, "champion", "1")

    view = settled_view(alias.ledger, alias.lock)

    assert alias.aliases["champion"] == "1"
    assert alias.actions[-2:] == [("promote", "2"), ("external", "1")]
    assert view.moves[-1].abandons is None
    assert view.took_over_from("1") == "2"


def test_rejection_stands_though_the_champion_was_moved_by_hand_before_it_was_confirmed(
    alias, monkeypatch
):
    alias.promote("1")
    challenger = Subject("2", compared_with="1")
    with alias.session() as session:
        session.register(challenger, "passed")
        session.challenge(challenger, "passed")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "delete_registered_model_alias", _die)
        with pytest.raises(Died), alias.session() as session:
            session.reject(challenger, "looks wrong")
    alias.client.set_registered_model_alias(MODEL, "champion", "3")

    view = settled_view(alias.ledger, alias.lock)

    assert alias.actions[-2:] == [("reject", "1"), ("external", "3")]
    assert view.standing.states["2"] == "rejected"
    assert "challenger" not in alias.aliases


def test_failure_to_confirm_a_move_is_not_one_of_the_move(alias, monkeypatch):
    """Or a script would repeat it: two rollbacks instead of one."""
    for version, over in (("1", None), ("2", "1"), ("3", "2")):
        alias.promote(version, over)

    def unreachable(*args):
        raise MlflowException("the server is gone")

    with alias.session() as session:
        monkeypatch.setattr(Ledger, "settle", unreachable)
        session.roll_back(Subject("2"), "worse")
        monkeypatch.undo()

    assert alias.aliases["champion"] == "2"
    assert settled_view(alias.ledger, alias.lock).settled == len(alias.actions)


def test_alias_that_is_moved_at_the_same_moment_is_noticed(alias, monkeypatch):
    move = MlflowClient.set_registered_model_alias

    def move_and_be_overtaken(client, name, alias, version):
        move(client, name, alias, version)
        move(client, name, alias, "3")

    alias.promote("1")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_registered_model_alias", move_and_be_overtaken)
        with pytest.raises(ChampionMoved, match="without the lock"):
            alias.promote("2", over="1")

    settled_view(alias.ledger, alias.lock)
    assert alias.actions[-2:] == [("promote", "2"), ("external", "3")]


def test_history_that_was_edited_stops_every_move_until_a_person_accepts_it(alias):
    alias.promote("1")
    key = "kubedistill.move.champion.000001"
    tags = alias.client.get_registered_model(MODEL).tags
    alias.client.set_registered_model_tag(MODEL, key, tags[key].replace("gates", "bribes"))

    with pytest.raises(HistoryTampered, match="move 1 was edited"):
        alias.promote("2", over="1")
    assert alias.aliases == {"champion": "1"}

    with exclusive(alias.ledger, alias.lock, damaged=True) as session:
        session.accept("an editor slipped")
    alias.promote("2", over="1")
    assert alias.aliases["champion"] == "2"
    assert alias.actions[-3:] == [("accept", "1"), ("register", "1"), ("promote", "2")]


def test_last_record_that_was_edited_is_noticed(alias):
    """Approval rests on it."""
    challenger = Subject("1", decision_digest="d" * 64)
    with alias.session() as session:
        session.register(challenger, "passed")
        session.challenge(challenger, "passed")
    key = "kubedistill.move.champion.000002"
    tags = alias.client.get_registered_model(MODEL).tags
    alias.client.set_registered_model_tag(MODEL, key, tags[key].replace("d" * 64, "e" * 64))

    with pytest.raises(HistoryTampered, match="move 2 was edited"), alias.session():
        pass


def test_record_of_a_later_release_is_not_taken_for_damage(alias):
    alias.promote("1")
    key = "kubedistill.move.champion.000002"
    tags = alias.client.get_registered_model(MODEL).tags
    newer = tags[key].replace('"format_version":1', '"format_version":2,"approved_by":"ada"')
    alias.client.set_registered_model_tag(MODEL, key, newer)

    with pytest.raises(UserError, match=r"move 2 of 'tiny-student' was written by a newer kubed"):
        settled_view(alias.ledger, alias.lock)


def test_tag_that_only_looks_like_a_record_is_none(alias):
    alias.promote("1")
    alias.client.set_registered_model_tag(MODEL, "kubedistill.move.champion.1", "oops")

    assert settled_view(alias.ledger, alias.lock).damaged == {}


def test_record_that_is_no_record_any_more_is_kept_aside(alias):
    alias.promote("1")
    alias.client.set_registered_model_tag(MODEL, "kubedistill.move.champion.000002", "oops")

    with pytest.raises(HistoryTampered, match="what is kept of move 2 is no record"):
        alias.promote("2", over="1")
    with exclusive(alias.ledger, alias.lock, damaged=True) as session:
        session.accept("a script overwrote it")

    alias.promote("2", over="1")
    tags = alias.client.get_registered_model(MODEL).tags
    assert tags["kubedistill.damaged.champion.000002"] == "oops"


@pytest.mark.parametrize("number", ["000001", "000002"])
def test_removed_record_is_noticed(alias, number):
    alias.promote("1")
    alias.client.delete_registered_model_tag(MODEL, f"kubedistill.move.champion.{number}")

    with pytest.raises(HistoryTampered, match=f"move {int(number)} is missing"):
        alias.promote("2", over="1")


def test_writer_with_another_lock_is_refused(alias):
    with alias.lock.hold() as hold:
        writer = Writer(alias.ledger, hold)
        writer.take_guard("lease:ml/tiny")
        with pytest.raises(UserError, match="made under lease:ml/tiny"):
            Writer(alias.ledger, hold).take_guard("local")
        with pytest.raises(UserError, match="made under lease:ml/tiny"):
            Writer(alias.ledger, hold).take_guard(None)


@pytest.mark.parametrize("moment", ["set_guard", "append"])
def test_two_locks_at_the_first_move_do_not_both_move(alias, monkeypatch, moment):
    """Another writer notes its own lock just after this one noted its, or wrote its record."""
    real = getattr(Ledger, moment)

    def overtaken(ledger, value):
        real(ledger, value)
        alias.client.set_registered_model_tag(MODEL, ledger.guard_tag, "lease:ml/tiny")

    monkeypatch.setattr(Ledger, moment, overtaken)
    lock = FileLock(alias.lock.path, reach="machine")
    with (
        pytest.raises(UserError, match="made under lease:ml/tiny"),
        exclusive(alias.ledger, lock) as session,
    ):
        session.promote(Subject("1"), "passed", forced=True)

    assert alias.aliases == {}


def test_two_aliases_of_one_model_have_histories_of_their_own(alias):
    alias.promote("1")
    staging = Ledger(alias.client, MODEL, "staging")
    with exclusive(staging, alias.lock) as session:
        session.register(Subject("2"), "passed")
        session.promote(Subject("2"), "passed")

    assert alias.aliases == {"champion": "1", "staging": "2"}
    assert len(alias.actions) == len(staging.read().moves) == 2


def _die_before(patch: pytest.MonkeyPatch, call: int) -> None:
    calls = iter(range(1, 1000))
    for name in WRITES:
        real = getattr(MlflowClient, name)

        def write(*args, real=real, **kwargs):
            if next(calls) == call:
                raise Died
            return real(*args, **kwargs)

        patch.setattr(MlflowClient, name, write)


def _die(*args, **kwargs):
    raise Died


def test_registered_model_that_is_not_there_has_no_history(tracking):
    assert Ledger(tracking.client, "unknown", "champion").read() is None
    with pytest.raises(MlflowException):
        tracking.client.get_registered_model("unknown")
