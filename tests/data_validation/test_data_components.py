"""The two components, run by KFP's own local runner."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from kfp import dsl, local
from components.data_validation.component import resolve_dataset, validate_data

@dsl.pipeline
def check(uri: str, data: dict, validation: dict):
    resolved = resolve_dataset(uri=uri, data=data)
    validate_data(
        dataset=resolved.outputs["dataset"],
        digest=resolved.outputs["digest"],
        validation=validation,
    )

local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1])
check(**json.loads(sys.argv[2]))
"""


def run(root):
    arguments = {
        "uri": "builtin://digits",
        "data": {
            "input": {"kind": "image", "size": [1, 8, 8]},
            "split": {"by": "random", "labelled": 100, "unlabelled": 900, "test": 797},
        },
        "validation": {"min_rows": 100, "min_value": 0, "max_value": 16},
    }
    command = [sys.executable, "-c", PROGRAM, str(root), json.dumps(arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    root = tmp_path_factory.mktemp("good")
    return root, run(root)


def test_components_run_and_pass_on_their_artifacts(good):
    root, finished = good
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (digest,) = root.glob("*/resolve-dataset/digest")
    (manifest,) = root.glob("*/resolve-dataset/dataset/manifest.json")
    (result,) = root.glob("*/validate-data/result/validation.json")
    (checked,) = root.glob("*/validate-data/checked/manifest.json")
    assert json.loads(manifest.read_text())["digest"] == digest.read_text()
    assert json.loads(result.read_text())["dataset_digest"] == digest.read_text()
    assert checked.read_bytes() == manifest.read_bytes()
    assert list(root.glob("*/validate-data/data_docs/index.html"))
    assert list(root.glob("*/validate-data/result/data_profile.json"))


def test_log_has_the_steps_events_and_no_noise_of_libraries(good):
    _, finished = good
    log = finished.stdout + finished.stderr
    assert '"event": "finished"' in log
    assert "Skipping registering" not in log
    assert "Calculating Metrics" not in log
    assert "ephemeral docs site" not in log
