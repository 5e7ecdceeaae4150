"""Writes what an environment holds as a CycloneDX bill of materials.

Run while an image is built, where nothing but Python is there, by the Python of the environment:
``python3 sbom.py IMAGE LOCK``.
"""

import json
import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

_LOCKED = re.compile(r"^(\S+)==\S+ \\\n {4}--hash=sha256:([0-9a-f]{64})$", re.MULTILINE)


def bill_of_materials(image: str, lock: str) -> dict[str, Any]:
    """The libraries that Python finds, in the form of CycloneDX 1.6.

    What is here through the base image only (PyTorch) has no hash; what is no Python library is in
    the base's own bill of materials.

    Args:
        image: name of the image.
        lock: text of the lock file that was installed.
    """
    hashes = dict(_LOCKED.findall(lock))
    found = {_normal(one.name): one for one in metadata.distributions()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": "image", "name": image}},
        "components": [_component(found[name], name, hashes) for name in sorted(found)],
    }


def _component(
    distribution: metadata.Distribution, name: str, hashes: Mapping[str, str]
) -> dict[str, Any]:
    url = f"pkg:pypi/{name}@{distribution.version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": distribution.version,
        "purl": url,
    }
    if name in hashes:
        component["hashes"] = [{"alg": "SHA-256", "content": hashes[name]}]
    if expressions := distribution.metadata.get_all("License-Expression"):
        component["licenses"] = [{"expression": expressions[0]}]
    elif license_name := _license(distribution):
        component["licenses"] = [{"license": {"name": license_name}}]
    return component


def _license(distribution: metadata.Distribution) -> str:
    """As classifiers or the older field say it; some have the whole text there."""
    classifiers = distribution.metadata.get_all("Classifier") or []
    names = [one.rsplit(" :: ", 1)[-1] for one in classifiers if one.startswith("License :: ")]
    (text,) = distribution.metadata.get_all("License") or [""]
    return ", ".join(names) or text.partition("\n")[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    image, lock = sys.argv[1:]
    made = bill_of_materials(image, Path(lock).read_text(encoding="utf-8"))
    json.dump(made, sys.stdout, indent=1)
