"""One of the processes that train together, as torchrun starts it:
``python -m components.training.worker REQUEST_URI``.

Exit status: 0 done, 2 a mistake of the user's, 143 after SIGTERM, 1 anything else. Why there is no
bundle is written beside the request by the process that knew first.
"""

import os
import sys
import traceback
from contextlib import ExitStack, redirect_stdout, suppress
from io import TextIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TextIO

from components.shared import events
from components.shared.errors import UserError
from components.shared.training.distributed import is_of_a_peer, joined
from components.shared.training.termination import STATUS, Terminated
from components.training import process
from components.training.request import Failure, Place


def main(uri: str) -> int:
    """Train, and publish the bundle; returns the exit status."""
    place, rank = Place(uri), int(os.environ["RANK"])
    if rank == 0:
        place.failure()  # of an attempt before; no other rank fails before this one has joined
    with ExitStack() as stack:  # what is said in the end is said before the others see this one go
        try:
            stack.enter_context(joined())
            _train(place, rank)
        except Terminated:
            place.fail(Failure(kind="terminated", message="SIGTERM", rank=rank))
            return STATUS
        except UserError as error:
            place.fail(Failure(kind="user", message=str(error), rank=rank))
            return events.USER_ERROR_STATUS
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            kind: Literal["lost", "system"] = "lost" if is_of_a_peer(error) else "system"
            place.fail(Failure(kind=kind, message=message, rank=rank))
            traceback.print_exc()
            return 1
    return 0


def _train(place: Place, rank: int) -> None:
    with (
        Path(os.devnull).open("w") as nothing,
        TemporaryDirectory(prefix="kubedistill-bundle-") as folder,
        redirect_stdout(_Told(sys.stdout) if rank == 0 else nothing),
        place.taken() as request,
        events.within(request.label),
    ):
        process.train(request, Path(folder) / "bundle", place.publish)


class _Told(TextIOBase):
    """Standard output, whose reader may be gone: the SIGTERM that follows ends the training, and
    it shall find it at work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(BrokenPipeError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(BrokenPipeError):
            self._stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
