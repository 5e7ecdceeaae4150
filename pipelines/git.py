"""The commit that a recipe is from."""

import subprocess
from pathlib import Path


def commit_of(file: Path) -> str:
    """Hash of the commit that is checked out where a file lies; empty outside of a repository.

    It says where the recipe came from, not that the file is unchanged since.
    """
    try:
        found = subprocess.run(
            ["git", "-C", str(file.resolve().parent), "rev-parse", "--verify", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
