"""What the images are: small, without what no step needs, and fit for a restricted pod."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from pipelines.image_references import name_of
from pipelines.images.building import BUILDS
from pipelines.images.table import read_sizes
from tests.containers.base_image import PYTHON, TORCH
from tests.containers.engine import Engine

MB = 10**6
LARGEST = {"registration": 350 * MB, "evaluation": 600 * MB, "data-validation": 700 * MB}
"""Bytes above the base."""
STEPS = {
    "data-validation": "components.data_validation.steps",
    "soft-labels": "components.soft_labels.steps",
    "soft-labels-mlflow": "components.soft_labels.steps",
    "training": "components.training.steps",
    "compression": "components.compression.steps",
    "evaluation": "components.evaluation.steps",
    "registration": "components.registration.steps",
    "cli": "pipelines.compiling",
}
NAMES = sorted(STEPS)
BASES = {name_of(one.image): TORCH if one.torch else PYTHON for one in BUILDS}
ROOT = Path(__file__).parents[2]

_LOOK = """
import importlib, json, os, shutil, sys
importlib.import_module({module!r})
found = [tool for tool in ("pip", "pip3", "gcc", "cc", "ld", "make") if shutil.which(tool)]
writable = [path for path in ("/", "/app", "/opt/venv", "/tmp") if os.access(path, os.W_OK)]
stale = [m.__name__ for m in list(sys.modules.values())
         if (getattr(m, "__file__", None) or "").startswith(("/app", "/opt/venv"))
         and m.__file__.endswith(".py") and not os.path.exists(m.__cached__ or "")]
print(json.dumps({{"tools": found, "writable": writable, "user": os.getuid(), "stale": stale}}))
"""

_BILL = """
import json
bill = json.load(open("/app/sbom.cdx.json"))
hashed = [part["name"] for part in bill["components"] if "hashes" in part]
print(json.dumps([bill["metadata"]["component"]["name"], hashed]))
"""


@pytest.fixture(scope="module")
def client(engine: Engine) -> Any:
    return docker.DockerClient(base_url=engine.host)


@pytest.mark.parametrize("name", NAMES)
def test_step_is_imported_by_any_user_from_a_read_only_image_without_tools(
    client: Any, images: Mapping[str, str], name: str
) -> None:
    printed = client.containers.run(
        images[name],
        ["-c", _LOOK.format(module=STEPS[name])],
        entrypoint="python3",
        environment={"_KFP_RUNTIME": "true"} if name != "cli" else {},
        user="34567:34567",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        network_mode="none",
        tmpfs={"/tmp": ""},  # noqa: S108
        remove=True,
    )
    assert json.loads(printed.splitlines()[-1]) == {
        "tools": [],
        "writable": ["/tmp"],  # noqa: S108
        "user": 34567,
        "stale": [],  # modules that would be compiled at every start
    }


@pytest.mark.parametrize("name", NAMES)
def test_image_says_what_it_is_and_runs_as_nobody(
    client: Any, images: Mapping[str, str], name: str
) -> None:
    config = client.images.get(images[name]).attrs["Config"]
    labels = {key.rpartition(".")[2]: value for key, value in config["Labels"].items()}
    assert labels["title"] == f"kubedistill/{name}"
    assert labels["licenses"] == "Apache-2.0"
    assert config["User"] == "65532:65532"
    assert bool(config["Entrypoint"]) == (name == "cli")  # Kubeflow runs commands of its own
    printed = client.containers.run(
        images[name], ["-c", _BILL], entrypoint="python3", network_mode="none", remove=True
    )
    about, hashed = json.loads(printed)
    assert about == name
    assert {"kfp", "pydantic", "boto3"} <= set(hashed)


@pytest.mark.parametrize("name", NAMES)
def test_size_above_the_base_is_within_its_limit_and_as_the_table_says(
    client: Any, images: Mapping[str, str], name: str
) -> None:
    size = client.images.get(images[name]).attrs["Size"]
    above = size - client.images.get(BASES[name]).attrs["Size"]
    assert above <= LARGEST.get(name, 10**9)
    assert above == pytest.approx(read_sizes(ROOT)[name], abs=15 * MB)


def test_kubedistill_is_what_the_command_line_image_runs(
    client: Any, images: Mapping[str, str]
) -> None:
    printed = client.containers.run(images["cli"], ["schema"], read_only=True, remove=True)
    assert json.loads(printed)["title"] == "Recipe"
