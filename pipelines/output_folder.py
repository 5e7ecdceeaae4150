"""The folder that a run leaves its results in."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from components.shared.errors import UserError
from components.shared.files import write_atomically

REPORT, MARKDOWN, DECISION, SUMMARY = "report.html", "summary.md", "decision.json", "summary.json"
RESULTS = (SUMMARY, DECISION, MARKDOWN, REPORT)
"""Of a run, the one that is written last first."""
PREVIOUS = "previous"
"""Where the results of the run before are kept."""


@contextlib.contextmanager
def exclusive(folder: Path, results: Sequence[str] = RESULTS) -> Iterator[None]:
    """Hold a folder for one run, with the results of the one before set aside.

    A run that fails must not leave the verdict of another one where its own would be. The lock goes
    with the process.

    Args:
        folder: the folder; it is made where there is none.
        results: names of the files that are set aside, the one that is written last first.

    Raises:
        UserError: another run holds it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(f"--output {folder}: {error.strerror or error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"--output {folder}: another run is writing there") from error
        _set_aside(folder, results)
        yield


def write_results(folder: Path, *, report: str, markdown: str, decision: str, summary: str) -> None:
    """Write the results, ``summary.json`` last: where it is, the others are."""
    write_atomically(folder / REPORT, report)
    write_atomically(folder / MARKDOWN, markdown)
    write_atomically(folder / DECISION, decision)
    write_atomically(folder / SUMMARY, summary)


def _set_aside(folder: Path, results: Sequence[str]) -> None:
    """Move earlier results to ``previous/``, in their order."""
    earlier = [name for name in results if (folder / name).exists()]
    if not earlier:
        return
    shutil.rmtree(folder / PREVIOUS, ignore_errors=True)
    (folder / PREVIOUS).mkdir()
    for name in earlier:
        (folder / name).replace(folder / PREVIOUS / name)
