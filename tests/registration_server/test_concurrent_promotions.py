"""Promotions that race each other and are killed at random: the registry is never wrong."""

import random
import uuid
from collections import Counter
from pathlib import Path

import mlflow
import numpy as np
import pytest

from components.registration import tags
from components.registration.client import connect
from components.registration.promotion.moves import Move
from components.registration.store import locate
from components.registration.submission import read_submission
from tests.registration.pipeline_run_files import RECIPE, ROWS, write_pipeline_run
from tests.registration_server.race import DONE, OVERTAKEN, Race
from tests.servers.mlflow_server import MlflowServer

AT_ONCE = 8
MODELS, ROUNDS = 4, 50
"""200 rounds. The history of a model is read with it: one of 200 rounds would take most of the time
that this has."""


@pytest.fixture
def race(
    mlflow_on_postgres: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> Race:
    for name, value in mlflow_on_postgres.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KUBEDISTILL_LOCK", f"file:{tmp_path / 'locks'}")
    model = f"race-{uuid.uuid4().hex[:8]}"
    recipe = {**RECIPE, "registry": {"model": model, "experiment": model}}
    files = write_pipeline_run(tmp_path / "template", "template", recipe=recipe)
    store = locate("")
    client = connect(store)
    experiment = client.create_experiment(model)
    return Race(
        client=client,
        store=store,
        run=client.create_run(experiment),
        template=read_submission(files.inputs, "template"),
        artifacts=mlflow_on_postgres.folder / "artifacts",
        random=random.Random(number),  # noqa: S311 - not for secrets
    )


@pytest.mark.parametrize("number", range(MODELS))
def test_eight_at_once_with_kills_of_the_holder(race, tmp_path):
    model = race.template.registry.model
    with race.watched(tmp_path / "seen"):
        for number in range(1, ROUNDS + 1):
            outcomes = race.promote_at_once(AT_ONCE)

            assert outcomes == {DONE: 1, OVERTAKEN: AT_ONCE - 1}, f"round {number}"
            view = race.view()
            promoted = [move for move in view.moves if move.action == "promote"]
            assert len(promoted) == number
            assert view.aliases["champion"] == promoted[-1].version

    print(f"\n{ROUNDS} rounds of {AT_ONCE}, {race.killed} holders killed")
    assert race.killed > race.disturbed / 4
    view = race.view()
    view.verify()
    check_history(view.moves)
    check_versions(race, view.aliases)
    seen = (tmp_path / "seen").read_text().split()
    assert is_subsequence(seen, [m.version for m in view.moves if m.action == "promote"])
    served = mlflow.pyfunc.load_model(f"models:/{model}@champion").predict(ROWS)
    assert np.allclose(served["probabilities"].sum(axis=1), 1)


def check_history(moves: list[Move]) -> None:
    """Every champion passed its gates against the very champion that it replaced."""
    assert {move.action for move in moves} == {"register", "promote"}
    for move in moves:
        if move.action == "promote":
            assert move.compared_with == move.champion_before
            assert move.decision_digest is not None
    runs = Counter((move.run_id, move.action, move.decision_digest) for move in moves)
    assert max(runs.values()) == 1
    promoted = Counter(move.run_id for move in moves if move.action == "promote")
    assert max(promoted.values()) == 1


def check_versions(race: Race, aliases: dict[str, str]) -> None:
    """No run was registered twice, and every alias points at a version that exists."""
    model, token, versions = race.template.registry.model, None, []
    while True:
        page = race.client.search_model_versions(f"name = '{model}'", page_token=token)
        versions += page
        token = page.token
        if not token:
            break
    runs = Counter(version.tags[tags.RUN_ID] for version in versions)
    assert max(runs.values()) == 1
    assert set(aliases.values()) <= {str(version.version) for version in versions}


def is_subsequence(some: list[str], all_of_them: list[str | None]) -> bool:
    """Whether these came in this order, though some may have gone unseen."""
    rest = iter(all_of_them)
    return all(item in rest for item in some)
