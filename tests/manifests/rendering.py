"""What ``kubectl kustomize`` makes of the manifests, and the pods in it."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
KUBECTL = Path(sys.executable).with_name("kubectl")

Object = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod that an object makes."""

    name: str
    """Kind and name of the object."""
    namespace: str
    labels: dict[str, str]
    spec: Object

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@cache
def render_text(overlay: str) -> str:
    """The YAML of an overlay.

    Raises:
        RuntimeError: kustomize refuses it.
    """
    done = subprocess.run(
        [KUBECTL, "kustomize", MANIFESTS / "overlays" / overlay],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"{overlay}: {done.stderr}")
    return done.stdout


@cache
def render(overlay: str) -> tuple[Object, ...]:
    """The objects of an overlay."""
    return tuple(yaml.load_all(render_text(overlay), yaml.CSafeLoader))


def of_kind(objects: Iterable[Object], kind: str) -> dict[str, Object]:
    """The objects of a kind, by name."""
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def title(found: Object) -> str:
    return f"{found['kind']} {found['metadata']['name']}"


def pods(overlay: str) -> Iterator[Pod]:
    """Every pod template, however deep in its object."""
    for found in render(overlay):
        for template in _templates(found):
            labels = template.get("metadata", {}).get("labels", {})
            namespace = found["metadata"].get("namespace", "")
            yield Pod(title(found), namespace, labels, template["spec"])


def _templates(part: Any) -> Iterator[Object]:
    if isinstance(part, list):
        for entry in part:
            yield from _templates(entry)
    elif isinstance(part, dict):
        if "containers" in part.get("spec", {}):
            yield part
        for entry in part.values():
            yield from _templates(entry)
