"""What a release consists of."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from pipelines.compiling import compile_components
from pipelines.image_references import NAMES, load

ROOT = Path(__file__).parents[2]


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
