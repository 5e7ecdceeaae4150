"""Base images, made on the spot: Debian with its Python, and that with these tests' PyTorch."""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.containers.engine import Engine

PYTHON = "kubedistill-test/python:3.11"
TORCH = f"kubedistill-test/torch:{metadata.version('torch').partition('+')[0]}"
_SUITE = "bookworm"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP = Path("/etc/pip.conf")


def make_bases(engine: Engine) -> None:
    """Make those that the engine has not."""
    if not _has(engine, PYTHON):
        with tempfile.TemporaryDirectory(prefix="base-") as folder:
            _make_python(engine, Path(folder) / "root")
    if not _has(engine, TORCH):
        with tempfile.TemporaryDirectory(prefix="base-") as folder:
            _make_torch(engine, Path(folder))


def run_docker(engine: Engine, *arguments: str | Path, **options: object) -> str:
    """What ``docker`` prints.

    Raises:
        AssertionError: it failed, with what it said.
    """
    done = subprocess.run(
        ["docker", "--host", engine.host, *arguments],  # noqa: S607
        env={**os.environ, "DOCKER_BUILDKIT": "0"},  # what every engine has
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, (
        f"docker {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    )
    return str(done.stdout)


def _has(engine: Engine, image: str) -> bool:
    return bool(run_docker(engine, "images", "--quiet", image).strip())


def _make_python(engine: Engine, root: Path) -> None:
    include = "python3,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={include}", _SUITE, root, _mirror()],  # noqa: S607
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for name in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / name)
    # Builds of these tests reach the index that pip is set up for here.
    for file in (_CERTIFICATES, _PIP):
        if file.is_file():
            shutil.copyfile(file, root / file.relative_to("/"))
    with subprocess.Popen(
        ["tar", "--directory", root, "--create", "."],  # noqa: S607
        stdout=subprocess.PIPE,
    ) as archive:
        certificates = f"ENV PIP_CERT={_CERTIFICATES}"
        run_docker(engine, "import", "--change", certificates, "-", PYTHON, stdin=archive.stdout)
    assert archive.returncode == 0


def _mirror() -> str:
    """The mirror that is named, or that this machine uses already, where it is a Debian."""
    if "DEBIAN_MIRROR" in os.environ:
        return os.environ["DEBIAN_MIRROR"]
    form = ("--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {_SUITE}")
    done = subprocess.run(
        ["apt-get", "indextargets", *form],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.partition("\n")[0] or "http://deb.debian.org/debian"


def _make_torch(engine: Engine, folder: Path) -> None:
    """The PyTorch that runs these tests, with all that it needs, for the Python of the base."""
    assert platform.python_version_tuple()[:2] == ("3", "11")
    target = folder / "dist-packages"
    for path in sorted(_files_of("torch")):
        copy = target / path.relative_to(_site_packages())
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    (folder / "Dockerfile").write_text(
        f"FROM {PYTHON}\nCOPY dist-packages /usr/local/lib/python3.11/dist-packages\n"
    )
    run_docker(engine, "build", "--tag", TORCH, folder)


def _site_packages() -> Path:
    return Path(str(metadata.distribution("torch").locate_file("")))


def _files_of(name: str, seen: set[str] | None = None) -> Iterator[Path]:
    """Files of a distribution and of those that it needs here, without compiled ones."""
    seen = set() if seen is None else seen
    if name.lower() in seen:
        return
    seen.add(name.lower())
    for file in metadata.files(name) or []:
        path = Path(str(file.locate()))
        inside = path.is_relative_to(_site_packages()) and ".." not in file.parts
        if inside and path.suffix != ".pyc" and path.is_file():
            yield path
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from _files_of(requirement.name, seen)
