"""What `kubedistill status` reads."""

import pytest
from pipeline_run_files import REGISTRY

from components.registration.status import read_status
from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.recipe import RegistrySpec

SPEC = RegistrySpec.model_validate(REGISTRY)


def test_status_shows_the_champion_and_how_it_got_there(tracking):
    tracking.promoted("run-1")
    second = tracking.promoted("run-2", champion="1", seed=1)

    status = read_status(SPEC, tracking.uri)

    assert [version.version for version in status.versions] == ["2", "1"]
    champion, former = status.champion, status.former
    assert (champion.version, champion.took_over_from, champion.run_id) == ("2", "1", "run-2")
    assert champion.aliases == ["champion"]
    assert champion.student_digest == sha256_bytes(second.onnx)
    assert champion.promoted_at >= former.promoted_at
    assert (former.version, former.replaced_by) == ("1", "2")
    assert (status.figures.accuracy, status.figures.latency_p95_ms) == (0.93, 0.02)
    assert (status.figures.parameters, status.figures.size_bytes) == (19, 400)


def test_status_is_plain_json(tracking):
    tracking.promoted("run-1")

    status = read_status(SPEC, tracking.uri)

    assert type(status).model_validate_json(status.model_dump_json()) == status


def test_status_of_a_model_without_champion(tracking):
    tracking.promoted("run-1")
    tracking.client.delete_registered_model_alias(SPEC.model, "champion")

    status = read_status(SPEC, tracking.uri)

    assert (status.champion, status.figures, status.former) == (None, None, None)
    assert len(status.versions) == 1


def test_champion_of_another_tool_has_no_figures(tracking):
    client = tracking.client
    client.create_registered_model(SPEC.model)
    client.create_model_version(SPEC.model, str(tracking.folder))
    client.set_registered_model_alias(SPEC.model, "champion", "1")

    status = read_status(SPEC, tracking.uri)

    assert (status.champion.version, status.champion.verdict, status.figures) == ("1", None, None)


def test_status_names_the_models_that_exist(tracking):
    tracking.promoted("run-1")

    with pytest.raises(UserError, match=r"no registered model 'tiny-studnet'.*tiny-student"):
        read_status(RegistrySpec(model="tiny-studnet"), tracking.uri)


def test_status_of_a_database_that_is_not_there_creates_none(tmp_path):
    with pytest.raises(UserError, match="no such database"):
        read_status(SPEC, f"sqlite:///{tmp_path}/mlflow.db")

    assert list(tmp_path.iterdir()) == []
