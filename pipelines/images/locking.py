"""The lock file of each image: exact versions, with the hashes of their wheels."""

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from components.shared.errors import UserError
from components.shared.files import write_atomically
from pipelines.images.requirements import locked_versions, read_constraints, read_project

LOCK_FILES: Mapping[str, Path] = {
    "cli": Path("pipelines/requirements.lock"),
    "compression": Path("components/compression/requirements.lock"),
    "data-validation": Path("components/data_validation/requirements.lock"),
    "evaluation": Path("components/evaluation/requirements.lock"),
    "registration": Path("components/registration/requirements.lock"),
    "soft-labels": Path("components/soft_labels/requirements.lock"),
    "soft-labels-mlflow": Path("components/soft_labels/requirements-mlflow.lock"),
    "training": Path("components/training/requirements.lock"),
}
"""By image, where in the repository it is."""

PLATFORM = ("Linux", "x86_64", "3.11")
"""What the wheels are for: system, machine and Python."""

_HEAD = (
    "# Made by `make lock` from pyproject.toml and constraints.txt, for {} on {} with Python {}.\n"
)


def lock(root: Path) -> dict[Path, str]:
    """Text of each lock file, by its path.

    The hashes are those of the wheels that pip takes here, from the index that it is set up for.

    Args:
        root: folder of the repository.

    Raises:
        UserError: this is another platform, or a library has no version or wheel.
    """
    here = (platform.system(), platform.machine(), "{}.{}".format(*sys.version_info))
    if here != PLATFORM:
        raise UserError(f"lock files are made on {PLATFORM}, and this is {here}")
    project, constraints = read_project(root), read_constraints(root)
    wanted = {image: locked_versions(project, image, constraints) for image in LOCK_FILES}
    hashes = _hashes({name: one[name] for one in wanted.values() for name in one})
    return {root / path: lock_text(wanted[image], hashes) for image, path in LOCK_FILES.items()}


def lock_text(versions: Mapping[NormalizedName, str], hashes: Mapping[NormalizedName, str]) -> str:
    """A lock file as pip reads it.

    Args:
        versions: by name.
        hashes: SHA-256 of a wheel, by name.
    """
    lines = [
        f"{name}=={versions[name]} \\\n    --hash=sha256:{hashes[name]}\n" for name in versions
    ]
    return _HEAD.format(*PLATFORM) + "".join(lines)


def _hashes(versions: Mapping[NormalizedName, str]) -> dict[NormalizedName, str]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"),
                *("--ignore-installed", "--no-deps", "--prefer-binary"),
                *("--report", str(report)),
                *(f"{name}=={version}" for name, version in versions.items()),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UserError(f"pip does not find all wheels: {done.stdout.strip()}")
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {
        canonicalize_name(one["metadata"]["name"]): one["download_info"]["archive_info"]["hashes"][
            "sha256"
        ]
        for one in installed
    }


def write_locks(root: Path) -> Iterable[Path]:
    """Write the lock files, and say which there are.

    Raises:
        UserError: as :func:`lock` does.
    """
    for path, text in lock(root).items():
        write_atomically(path, text)
        yield path


if __name__ == "__main__":
    for written in write_locks(Path(__file__).parents[2]):
        print(written)
