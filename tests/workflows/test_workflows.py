"""GitHub workflows, as far as they can be checked without GitHub."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.doctor.needs import NAMESPACE
from pipelines.image_references import name_of
from pipelines.images.building import BUILDS
from tests.manifests.rendering import KUBECTL

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
LONGEST_MINUTES = 360
"""After which GitHub ends a job on a runner of its own."""
PINNED = re.compile(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def jobs(workflow: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(workflow.read_text())["jobs"]
    return found


def steps(file: Path) -> Iterator[dict[str, Any]]:
    document = yaml.safe_load(file.read_text())
    for job in document.get("jobs", {"": document.get("runs")}).values():
        yield from job["steps"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(workflow: Path) -> None:
    linter = Path(sys.executable).with_name("actionlint")
    done = subprocess.run([linter, workflow], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.name)
def test_foreign_actions_are_pinned_by_commit(file: Path) -> None:
    used = [line.strip().removeprefix("- ") for line in file.read_text().splitlines()]
    used = [line for line in used if line.startswith("uses:") and "uses: ./" not in line]
    assert [line for line in used if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.name)
def test_tools_that_scripts_install_by_go_are_pinned_by_commit(file: Path) -> None:
    installed = re.findall(r"go install (\S+)", file.read_text())
    assert [tool for tool in installed if not re.fullmatch(r"\S+@[0-9a-f]{40}", tool)] == []


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.name)
def test_scripts_take_values_from_their_environment_and_no_secret_is_stored(file: Path) -> None:
    """What GitHub puts into the text of a script could be commands of somebody else."""
    assert [step["run"] for step in steps(file) if "${{" in step.get("run", "")] == []
    assert "secrets." not in file.read_text()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_have_an_end_and_no_rights_that_they_do_not_name(workflow: Path) -> None:
    given = yaml.safe_load(workflow.read_text())["permissions"]
    assert given in ({}, {"contents": "read"})
    for name, job in jobs(workflow).items():
        assert 0 < job["timeout-minutes"] <= LONGEST_MINUTES, name
        assert given or job["permissions"], name


def test_a_release_builds_every_image_from_its_dockerfile() -> None:
    (build,) = (
        job for name, job in jobs(ROOT / ".github/workflows/release.yml").items() if name == "image"
    )
    matrix = build["strategy"]["matrix"]["include"]
    assert matrix == [
        {
            "image": name_of(one.image),
            "dockerfile": one.dockerfile,
            **({"torch": True} if one.torch else {}),
            **({"lock": one.arguments["LOCK"]} if "LOCK" in one.arguments else {}),
        }
        for one in BUILDS
    ]


def test_waiting_for_a_run_ends_before_github_ends_the_job() -> None:
    job = jobs(ROOT / ".github/workflows/distill.yml")["distill"]
    (script,) = (
        step["run"] for step in job["steps"] if "kubedistill submit" in step.get("run", "")
    )
    (seconds,) = re.findall(r"--wait --timeout (\d+)", script)

    assert int(seconds) / 60 + 10 < job["timeout-minutes"]


def test_a_run_names_its_namespace_which_kubeflow_of_several_users_asks_for() -> None:
    environment = jobs(ROOT / ".github/workflows/distill.yml")["distill"]["env"]
    explained = (ROOT / "pipelines" / "README.md").read_text()

    assert environment["KFP_NAMESPACE"] == f"${{{{ vars.KFP_NAMESPACE || '{NAMESPACE}' }}}}"
    assert "| `KFP_NAMESPACE` |" in explained


@pytest.mark.parametrize("script", [".ci/run", ".github/promote"])
def test_scripts_are_bash_that_stops_at_the_first_failure(script: str) -> None:
    assert "set -euo pipefail" in (ROOT / script).read_text()
    subprocess.run(["/bin/bash", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_no_input_is_compared_with_false_which_a_missing_one_equals(workflow: Path) -> None:
    """As GitHub compares: an input is null where the workflow was started by something else."""
    assert re.findall(r"inputs\.[\w-]+ [!=]= (?:true|false)", workflow.read_text()) == []


def test_signing_in_to_a_cluster_shows_no_token_in_arguments(tmp_path: Path) -> None:
    """Every process of a machine can read the arguments of others."""
    stand_in = 'echo "${0##*/} $*" >>"$SEEN"\n'
    programs = {
        "curl": 'cat >"$SEEN.header"\necho \'{"value": "github-identity"}\'\n',
        "kubectl": f'[[ $1 == create ]] && echo token-of-account || {KUBECTL} "$@"\n',
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{stand_in}{body}")
        (tmp_path / name).chmod(0o755)
    inputs = {"SERVER": "https://c", "CERTIFICATE_AUTHORITY": "", "AUDIENCE": "kubernetes"}
    inputs |= {"ACCOUNT": "submit", "NAMESPACE": "n", "MLFLOW_AUDIENCE": "m", "DURATION": "1h"}
    github = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-request", "ACTIONS_ID_TOKEN_REQUEST_URL": "u"}
    files = {"RUNNER_TEMP": tmp_path, "GITHUB_ENV": tmp_path / "env", "SEEN": tmp_path / "seen"}
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **inputs, **github}
    (step,) = steps(ROOT / ".github" / "actions" / "cluster" / "action.yml")

    subprocess.run(
        ["/bin/bash", "-c", step["run"]],
        env=environment | {name: str(path) for name, path in files.items()},
        check=True,
        capture_output=True,
    )

    arguments = (tmp_path / "seen").read_text()
    assert arguments.count("create token submit") == 2
    for secret in ("of-request", "github-identity", "token-of-account"):
        assert secret not in arguments
    assert (tmp_path / "seen.header").read_text() == "Authorization: bearer of-request\n"
    (user,) = yaml.safe_load((tmp_path / "cluster" / "kubeconfig").read_text())["users"]
    assert Path(user["user"]["tokenFile"]).read_text() == "github-identity"


def preview(
    folder: Path, action: str, version: str, says: str
) -> subprocess.CompletedProcess[bytes]:
    """What the first job of promote.yml does, with a stand-in for ``kubedistill``.

    Args:
        folder: gets ``seen``, the arguments of each call, and GitHub's ``summary`` and ``output``.
        action: ``promote`` or ``rollback``.
        version: as somebody typed it; may be empty.
        says: commands of the stand-in.
    """
    program = folder / "kubedistill"
    program.write_text(f'#!/usr/bin/env bash\necho "$*" >>{folder}/seen\n{says}\n')
    program.chmod(0o755)
    inputs = {"ACTION": action, "MODEL": "digits", "VERSION": version, "REASON": "why"}
    files = {"GITHUB_STEP_SUMMARY": folder / "summary", "GITHUB_OUTPUT": folder / "output"}
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", **inputs}
    return subprocess.run(
        ["/bin/bash", ".github/promote", "--dry-run"],
        cwd=ROOT,
        env=environment | {name: str(path) for name, path in files.items()},
        check=False,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("action", "version", "expected"),
    [
        ("promote", "", "promote --reason why --dry-run --json -- digits"),
        ("promote", "--force", "promote --reason why --dry-run --json -- digits --force"),
        ("rollback", "", "rollback --reason why --dry-run --json -- digits"),
        ("rollback", "3", "rollback --reason why --dry-run --to 3 --json -- digits"),
    ],
)
def test_inputs_of_a_promotion_are_no_options(
    tmp_path: Path, action: str, version: str, expected: str
) -> None:
    done = preview(tmp_path, action, version, """echo '{"version": "3"}'""")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "seen").read_text().splitlines() == [expected, "status -- digits"]


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_the_version_that_was_shown_is_the_one_that_is_moved(tmp_path: Path, action: str) -> None:
    """The challenger, and the former champion, may be others by the time somebody approves."""
    workflow = jobs(ROOT / ".github/workflows/promote.yml")
    done = preview(tmp_path, action, "", """echo 'would move' >&2; echo '{"version": "7"}'""")

    assert done.stdout == b"would move\n"
    assert "would move" in (tmp_path / "summary").read_text()
    assert (tmp_path / "output").read_text() == "version=7\n"
    (step,) = (step for step in workflow["preview"]["steps"] if "promote" in step.get("run", ""))
    output = f"${{{{ steps.{step['id']}.outputs.version }}}}"
    assert workflow["preview"]["outputs"] == {"version": output}
    assert workflow["move"]["env"] == {"VERSION": "${{ needs.preview.outputs.version }}"}


@pytest.mark.parametrize("says", ["exit 2", "true", """echo '{"version": null}'"""])
def test_nothing_is_moved_where_no_version_was_shown(tmp_path: Path, says: str) -> None:
    assert preview(tmp_path, "promote", "", says).returncode != 0
    assert not (tmp_path / "output").exists()
