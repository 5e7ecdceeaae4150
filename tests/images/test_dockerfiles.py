"""Dockerfiles and lock files, as far as they can be checked without an engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.image_references import NAMES, name_of
from pipelines.images.building import BUILDS
from pipelines.images.locking import LOCK_FILES
from pipelines.images.requirements import locked_versions, read_constraints, read_project

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted({one.dockerfile for one in BUILDS})
LOCKED = re.compile(r"^(\S+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}\n", re.MULTILINE)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_hadolint_finds_nothing(dockerfile: str) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / dockerfile], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_image_has_a_dockerfile_and_a_lock_file() -> None:
    assert {name_of(one.image) for one in BUILDS} == set(NAMES) == set(LOCK_FILES)


@pytest.mark.parametrize("image", sorted(LOCK_FILES))
def test_lock_file_has_what_the_project_asks_for_with_hashes(image: str) -> None:
    """After a change of pyproject.toml or constraints.txt: `make lock`."""
    head, _, text = (ROOT / LOCK_FILES[image]).read_text().partition("\n")
    locked = dict(LOCKED.findall(text))

    assert head.startswith("# Made by `make lock`")
    assert LOCKED.sub("", text) == ""
    assert locked == locked_versions(read_project(ROOT), image, read_constraints(ROOT))
