"""The CronJob that submits a recipe when it is due."""

from typing import Any

import typer

from components.shared.recipe.loading import load_recipe
from pipelines.cli.kubeflow_commands import app
from tests.manifests.rendering import MANIFESTS, Object, of_kind, pods, render

RECIPE = MANIFESTS / "overlays" / "retraining" / "recipe.yaml"


def container() -> Object:
    (pod,) = pods("retraining")
    (found,) = pod.containers
    return found


def test_its_arguments_are_those_of_the_command() -> None:
    name, recipe, *options = container()["args"]
    command: Any = typer.main.get_command(app)

    parsed = command.commands[name].make_context(name, [recipe, *options]).params

    assert parsed["if_data_changed"] is True
    assert parsed["if_stale"] == "30d"
    assert parsed["wait"] is False
    mounts = {mount["mountPath"] for mount in container()["volumeMounts"]}
    assert str(parsed["recipe"].parent) in mounts


def test_its_recipe_is_one_and_names_what_the_manifests_have() -> None:
    objects = render("retraining")
    config_maps = of_kind(objects, "ConfigMap")
    given = next(found for name, found in config_maps.items() if name.startswith("kubedistill-re"))
    recipe = load_recipe(RECIPE)

    assert given["data"] == {RECIPE.name: RECIPE.read_text()}
    assert recipe.resources.service_account in of_kind(objects, "ServiceAccount")
    for name, used in recipe.resources.defaults.config_maps.items():
        assert used.env.keys() <= config_maps[name]["data"].keys()


def test_it_shows_kubeflow_its_token_and_has_none_for_kubernetes() -> None:
    (pod,) = pods("retraining")
    (source,) = next(v["projected"]["sources"] for v in pod.spec["volumes"] if "projected" in v)

    assert pod.spec["automountServiceAccountToken"] is False
    assert source["serviceAccountToken"]["path"] == "token"
    assert source["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"
    mounts = {mount["mountPath"] for mount in container()["volumeMounts"]}
    assert "/var/run/secrets/kubeflow/pipelines" in mounts


def test_it_starts_where_roles_stand_in_place_of_secrets() -> None:
    secrets = [given["secretRef"] for given in container()["envFrom"] if "secretRef" in given]

    assert [secret["name"] for secret in secrets if not secret.get("optional")] == []
    assert len(secrets) == 2
