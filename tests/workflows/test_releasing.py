"""What a release consists of."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from pipelines.compiling import compile_components
from pipelines.image_references import NAMES, load, name_of
from pipelines.images.building import BUILDS

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def release(images: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "images.json").write_text(json.dumps(images))
    return subprocess.run(
        [sys.executable, "-m", "pipelines.releasing", "images.json", "release"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_components_of_a_release_run_in_images_by_digest(tmp_path: Path) -> None:
    built = {
        name: f"registry.example/{name}@sha256:{number:064}" for number, name in enumerate(NAMES)
    }
    done = release(built, tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "release").glob("*.yaml"))
    names = {path.name for path in compile_components()} | {"shadow.yaml"}
    assert {file.name for file in files} == names
    for file in files:
        pipeline, *_ = yaml.safe_load_all(file.read_text())  # a platform's settings may follow
        executors = pipeline["deploymentSpec"]["executors"]
        used = {executor["container"]["image"] for executor in executors.values()}
        assert set() < used <= set(built.values()), file
    assert load(tmp_path / "release" / "images.json") == built


def test_nothing_is_released_with_an_image_missing(tmp_path: Path) -> None:
    done = release({"training": f"registry.example/training@sha256:{0:064}"}, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: images: ")
    assert not (tmp_path / "release").exists()


def run_naming(folder: Path, image: str, tag: str) -> subprocess.CompletedProcess[str]:
    """Run the step that names an image; its outputs are in the folder's ``output``."""
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["image"]["steps"]
    (script,) = (step["run"] for step in steps if step.get("id") == "name")
    github = {"GITHUB_REF_NAME": tag, "GITHUB_REPOSITORY_OWNER": "KubeDistill"}
    return subprocess.run(
        ["/bin/bash", "-e", "-c", script],
        cwd=ROOT,
        env=github | {"IMAGE": image, "GITHUB_OUTPUT": str(folder / "output")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("image", [build.image for build in BUILDS])
def test_images_are_pushed_by_the_names_that_code_and_manifests_have(
    tmp_path: Path, image: str
) -> None:
    """Without the v of the tag, and where the owner has capitals, which no reference may."""
    done = run_naming(tmp_path, name_of(image), f"v{VERSION}")

    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "output").read_text().splitlines()
    outputs = dict(line.split("=") for line in lines)
    assert f"{outputs['image']}:{outputs['version']}" == image
    text = WORKFLOW.read_text()
    assert "tags: ${{ steps.name.outputs.image }}:${{ steps.name.outputs.version }}\n" in text
    assert "github.repository_owner" not in text


def test_tag_of_another_version_builds_nothing(tmp_path: Path) -> None:
    done = run_naming(tmp_path, "training", f"v{VERSION}1")

    assert done.returncode == 1
    assert done.stdout.startswith("::error::")
    assert not (tmp_path / "output").exists()
