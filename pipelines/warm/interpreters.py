"""Starting warm interpreters for a run, and the pipeline that uses them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

FOLDER_VARIABLE = "KUBEDISTILL_WARM"
"""Tells the commands of steps where client and sockets are.

A path in a command would be part of KFP's cache key, and KFP replaces each "python3" in it.
"""
_HERE = Path(__file__).resolve().parent
_EVERY_STEP = ["kfp.dsl.executor"]
_EXECUTOR = "python3 -m kfp.dsl.executor_main"
_PROGRAM = '"$program_path/ephemeral_component.py"'
_LONGEST_FOLDER = 90
"""Bytes; the kernel takes 107 for the path of a socket."""
_STOP_TIMEOUT_S = 10.0


class WarmInterpreters:
    """The warm interpreters of one run: at most one for each container image."""

    def __init__(self, folder: Path, images: Mapping[str, int]) -> None:
        self._folder = folder
        self._images = {image: str(position) for image, position in images.items()}
        self._seconds: dict[str, float] = {}

    def rewrite(self, pipeline: str) -> str:
        """The same compiled pipeline, with steps run by the warm interpreter of their image.

        Left as they are: steps of other images, and steps with environment variables of their own,
        since libraries read some of those while they are imported.

        Args:
            pipeline: YAML as KFP's compiler writes it.
        """
        if not self._images:
            return pipeline
        documents = list(yaml.load_all(pipeline, yaml.CSafeLoader))
        for executor in documents[0].get("deploymentSpec", {}).get("executors", {}).values():
            container = executor.get("container", {})
            name = self._images.get(container.get("image"))
            if name is not None and not container.get("env"):
                container["command"] = [_warm(part, name) for part in container.get("command", [])]
        text: str = yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False)
        return text

    def import_seconds(self) -> dict[str, float]:
        """Seconds that each interpreter spent on imports, of those that have ended them.

        By the first image that it serves. It stays as it was at the end of the block.
        """
        first = {name: image for image, name in reversed(self._images.items())}
        for name, image in first.items():
            with suppress(FileNotFoundError, ValueError):
                self._seconds[image] = float((self._folder / f"{name}.seconds").read_text())
        return self._seconds


@contextmanager
def warm_interpreters(preload: Mapping[str, Sequence[str]]) -> Iterator[WarmInterpreters]:
    """Run a warm interpreter for each container image while the block runs; images for which the
    same modules are imported share one.

    They import one after the other, in the order given and in the background; one that a step waits
    for goes at once. (On two cores, importing in parallel made the first steps wait longer, and the
    later ones no less.) They die with this process, however it ends.

    Where processes cannot be forked and followed as needed (anywhere but on Linux), there are no
    interpreters, and pipelines are not changed.

    Args:
        preload: modules to import, in this order, by image. Modules that the first steps need come
            first: a step is served between two imports.
    """
    folder = Path(tempfile.mkdtemp(prefix="kubedistill-"))
    try:
        if not _supported(folder):
            yield WarmInterpreters(folder, {})
            return
        (folder / "client.py").symlink_to(_HERE / "client.py")
        modules = list(dict.fromkeys(map(tuple, preload.values())))
        servers = _start(folder, modules)
        before = os.environ.get(FOLDER_VARIABLE)
        os.environ[FOLDER_VARIABLE] = str(folder)
        warm = WarmInterpreters(
            folder, {image: modules.index(tuple(wanted)) for image, wanted in preload.items()}
        )
        try:
            yield warm
        finally:
            warm.import_seconds()
            os.environ.pop(FOLDER_VARIABLE)
            if before is not None:
                os.environ[FOLDER_VARIABLE] = before
            _stop(servers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _warm(part: str, name: str) -> str:
    if _PROGRAM not in part:
        return part
    client = f'"${FOLDER_VARIABLE}/client.py" "${FOLDER_VARIABLE}/{name}"'
    return part.replace(_EXECUTOR, f"python3 -I -S {client} -m kfp.dsl.executor_main")


def _supported(folder: Path) -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return len(os.fsencode(folder)) <= _LONGEST_FOLDER


def _start(folder: Path, preload: Sequence[Sequence[str]]) -> list[subprocess.Popen[bytes]]:
    servers = []
    turn = os.open(os.devnull, os.O_RDONLY)  # at its end, so the first may go
    for name, modules in enumerate(preload):
        next_turn, done = os.pipe()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / str(name)))
            listener.listen()
            descriptors = [listener.fileno(), turn, done]
            arguments = [str(folder), str(name), *map(str, descriptors), *_EVERY_STEP, *modules]
            servers.append(
                subprocess.Popen(
                    [sys.executable, str(_HERE / "server.py"), *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    env={**os.environ, "_KFP_RUNTIME": "true"},
                    start_new_session=True,  # Ctrl-C is for the run, which ends its servers
                )
            )
        os.close(turn)
        os.close(done)
        turn = next_turn
    os.close(turn)
    return servers


def _stop(servers: list[subprocess.Popen[bytes]]) -> None:
    for server in servers:
        if server.stdin:
            server.stdin.close()
    for server in servers:
        try:
            server.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
