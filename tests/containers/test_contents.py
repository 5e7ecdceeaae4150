"""No image holds a library that its steps never import.

The pipeline is run in images that say, whenever a process of a step ends, which libraries it has
loaded. What was never loaded there has to be on a list, with the file of the image that imports it
for other recipes; so has what such a library asks for.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import docker
import pytest
from packaging.requirements import Requirement

from tests.containers.distilling import Distiller
from tests.containers.engine import Engine

RECORDER = """
import atexit

def say():
    import json, os, sys
    from importlib import metadata
    loaded = {os.path.realpath(m.__file__) for m in list(sys.modules.values())
              if getattr(m, "__file__", None)}
    used = [d.metadata["Name"] for d in metadata.distributions()
            if any(os.path.realpath(f.locate()) in loaded for f in d.files or [])]
    event = {"event": "libraries", "step": "", "time": 0.0, "used": used}
    os.write(2, ("\\n" + json.dumps(event) + "\\n").encode())

atexit.register(say)
"""
INSTALLED = """
import json
from importlib import metadata
asked = {}
for found in metadata.distributions(path=["/opt/venv/lib/python3.11/site-packages"]):
    asked[found.metadata["Name"]] = found.requires or []
print(json.dumps(asked))
"""
IMAGE_OF = {
    "check_recipe": "data-validation",
    "resolve_dataset": "data-validation",
    "validate_data": "data-validation",
    "train_teacher": "training",
    "train_student": "training",
    "train_hard_label": "training",
    "train_pseudo_label": "training",
    "generate_soft_labels": "soft-labels",
    "compress_student": "compression",
    "evaluate_student": "evaluation",
    "decide_promotion": "evaluation",
    "report_results": "evaluation",
    "fetch_champion": "registration",
    "register_student": "registration",
}
IN_S3 = {
    "boto3": "shared/storage/s3_client.py",
    "prometheus_client": "shared/telemetry/exposition.py",
}
IMAGES = {"pillow": "shared/images_codec.py"}
IMPORTED_AS = {"pillow": "PIL"}
FOR_OTHER_RECIPES: Mapping[str, Mapping[str, str]] = {
    "data-validation": {**IN_S3, **IMAGES, "tokenizers": "data_validation/text/token_files.py"},
    "training": {**IN_S3, **IMAGES, "kubernetes": "shared/cluster.py"},
    "soft-labels": {
        **IN_S3,
        **IMAGES,
        "onnx": "soft_labels/teachers/onnx_graph.py",
        "onnxruntime": "soft_labels/teachers/onnx_teacher.py",
        "requests": "soft_labels/teachers/endpoint_client.py",
        "tenacity": "soft_labels/teachers/endpoint_client.py",
    },
    "compression": {**IN_S3, **IMAGES},
    "evaluation": {**IN_S3, **IMAGES},
    "registration": {
        **IN_S3,
        "kubernetes": "shared/cluster.py",
        "requests": "registration/hooks/webhook.py",
        "tenacity": "registration/retrying.py",
    },
}
"""By image: a library, and the file below /app/components that imports it."""


@pytest.fixture(scope="module")
def used(
    engine: Engine, images: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, set[str]]]:
    """Libraries that the steps of a run of the digits loaded, by image."""
    client = docker.DockerClient(base_url=engine.host)
    folder = tmp_path_factory.mktemp("recording")
    (folder / "recorder.py").write_text(RECORDER)
    (folder / "recorder.pth").write_text("import recorder\n")
    recording = {}
    for name in FOR_OTHER_RECIPES:
        (folder / "Dockerfile").write_text(
            f"FROM {images[name]}\nCOPY recorder.* /opt/venv/lib/python3.11/site-packages/\n"
        )
        tag = f"kubedistill-test/recording-{name}:1"
        client.images.build(path=str(folder), tag=tag)
        recording[name] = tag
    distiller = Distiller(tmp_path_factory.mktemp("contents"), engine.host, {**images, **recording})
    status, printed = distiller.run()
    assert status == 0, printed
    found: dict[str, set[str]] = {name: set() for name in recording}
    step = ""
    for event in distiller.events:
        step = event.get("step") or step
        if event["event"] == "libraries":
            found[IMAGE_OF[step]] |= set(event["used"])
    yield found
    for tag in recording.values():
        client.images.remove(tag, force=True)
    client.close()


@pytest.mark.parametrize("name", sorted(FOR_OTHER_RECIPES))
def test_every_library_of_an_image_is_imported_by_its_steps(
    engine: Engine, images: Mapping[str, str], used: dict[str, set[str]], name: str
) -> None:
    client = docker.DockerClient(base_url=engine.host)

    def python(program: str) -> Any:
        return json.loads(
            client.containers.run(images[name], ["python3", "-c", program], remove=True)
        )

    installed: dict[str, list[str]] = python(INSTALLED)
    listed = FOR_OTHER_RECIPES[name]
    for library, file in listed.items():
        text = python(f"import json; print(json.dumps(open('/app/components/{file}').read()))")
        module = IMPORTED_AS.get(library, library)
        assert f"import {module}" in text or f"from {module}" in text, (library, file)
    idle = {canonical(one) for one in installed} - {canonical(one) for one in used[name]}
    assert idle - closure({canonical(one) for one in listed}, installed) == set()


def canonical(name: str) -> str:
    return name.lower().replace("_", "-")


def closure(listed: set[str], installed: Mapping[str, list[str]]) -> set[str]:
    """Libraries, and whatever they ask for that is installed."""
    asked = {canonical(name): texts for name, texts in installed.items()}
    found, waiting = set(), set(listed)
    while waiting:
        name = waiting.pop()
        found.add(name)
        for text in asked.get(name, []):
            waiting |= {canonical(Requirement(text).name)} & (asked.keys() - found)
    return found
