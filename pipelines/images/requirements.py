"""What each image installs: the part of the project's dependencies that its steps import."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from components.shared.errors import UserError

FROM_BASE = frozenset({canonicalize_name("torch")})
"""What the base image brings, with all that it asks for: PyPI's would bring CUDA a second time."""

_ALL = "*"
_CONSTRAINT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """What ``pyproject.toml`` says of dependencies."""

    name: NormalizedName
    dependencies: Mapping[NormalizedName, Requirement]
    groups: Mapping[str, list[Requirement]]
    images: Mapping[str, "ImageContents"]
    unused: Mapping[NormalizedName, frozenset[str]]
    """By library, what it asks for and no step imports; ``*`` is all of it."""


@dataclass(frozen=True)
class ImageContents:
    """What the lock file of an image starts from."""

    dependencies: list[NormalizedName]
    groups: list[str]
    whole: list[NormalizedName]
    """Libraries that get all that they ask for."""


def read_project(root: Path) -> Project:
    """Read ``pyproject.toml`` in the folder ``root``."""
    described = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = described["project"]
    images: dict[str, Any] = described["tool"]["kubedistill"]["images"]
    unused = images.pop("unused")
    dependencies = [Requirement(text) for text in project["dependencies"]]
    return Project(
        name=canonicalize_name(project["name"]),
        dependencies={canonicalize_name(one.name): one for one in dependencies},
        groups={
            name: [Requirement(text) for text in texts]
            for name, texts in project["optional-dependencies"].items()
        },
        images={
            image: ImageContents(
                dependencies=[canonicalize_name(name) for name in contents["dependencies"]],
                groups=contents["groups"],
                whole=[canonicalize_name(name) for name in contents.get("whole", [])],
            )
            for image, contents in images.items()
        },
        unused={
            canonicalize_name(library): frozenset(
                name if name == _ALL else canonicalize_name(name) for name in names
            )
            for library, names in unused.items()
        },
    )


def read_constraints(root: Path) -> dict[NormalizedName, str]:
    """Versions by library, from ``constraints.txt`` in the folder ``root``."""
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    return {canonicalize_name(name): version for name, version in _CONSTRAINT.findall(text)}


def locked_versions(
    project: Project, image: str, constraints: Mapping[NormalizedName, str]
) -> dict[NormalizedName, str]:
    """What the lock file of an image holds, by name.

    What libraries ask for is read from those that are installed here.

    Raises:
        UserError: a library is not installed here, or has no version in ``constraints.txt``.
    """
    contents = project.images[image]
    found: dict[NormalizedName, set[str]] = {}
    waiting = [project.dependencies[name] for name in contents.dependencies]
    for group in contents.groups:
        waiting += _of_group(project, group)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = found.get(name)
        if name in FROM_BASE or (extras is not None and extras >= requirement.extras):
            continue
        found[name] = (extras or set()) | requirement.extras
        left_out = project.unused.get(name, frozenset()) if name not in contents.whole else set()
        waiting += (
            one
            for one in _asked_for(name, found[name])
            if not left_out & {_ALL, canonicalize_name(one.name)}
        )
    if missing := sorted(found.keys() - constraints.keys()):
        raise UserError(f"constraints.txt has no version of {', '.join(missing)}")
    return {name: constraints[name] for name in sorted(found)}


def _of_group(project: Project, group: str) -> Iterator[Requirement]:
    """A group's requirements, with those of the groups that it names."""
    for requirement in project.groups[group]:
        if canonicalize_name(requirement.name) == project.name:
            for extra in sorted(requirement.extras):
                yield from _of_group(project, extra)
        else:
            yield requirement


def _asked_for(name: NormalizedName, extras: Iterable[str]) -> Iterator[Requirement]:
    try:
        asked = metadata.requires(name) or []
    except metadata.PackageNotFoundError as error:
        raise UserError(f"{name} is not installed here, so what it needs is not known") from error
    for text in asked:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": one}) for one in ["", *extras]):
            yield requirement
