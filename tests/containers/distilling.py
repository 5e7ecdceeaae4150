"""``kubedistill run`` in containers, as a user who is not root but may use the Docker engine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.shared.events import parse_event
from tests.command_line import DIGITS, SHORT

LABEL = "kubedistill.run"
STRANGER = 34_567
"""A user and group without a name, where the tests run as root."""
_FOREIGN = ("AWS_", "MLFLOW_", "DOCKER_")


@dataclass
class Distiller:
    """A folder to run in, and the engine to run on."""

    folder: Path
    host: str
    """As ``DOCKER_HOST`` has it."""
    images: Mapping[str, str] | None = None
    """References of the images; null for processes of this machine."""
    environment: dict[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] | None = None
    """Of the caller; null for that of the engine's socket."""

    def command(self, *options: str) -> list[str | Path]:
        """The run, with a folder that belongs to its user."""
        program = Path(sys.executable).with_name("kubedistill")
        settings = [part for setting in SHORT for part in ("--set", setting)]
        run: list[str | Path] = [program, "run", DIGITS, "--output", "out", *settings]
        if self.images is not None:
            references = self.folder / "images.json"
            references.write_text(json.dumps(dict(self.images)))
            run += ["--runner", "docker", "--images", "images.json"]
        return [*self._as_user(), *run, *options]

    @contextmanager
    def started(self, *options: str) -> Iterator["subprocess.Popen[str]"]:
        """The run, under way; killed at the end of the block, if it is still there."""
        (self.folder / "out" / "run.log").unlink(missing_ok=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        with subprocess.Popen(
            self.command(*options),
            cwd=self.folder,
            env={
                **environment,
                "HOME": str(self.folder),
                "DOCKER_HOST": self.host,
                "KUBEDISTILL_CHECKPOINT_SECONDS": "0.2",
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *options: str) -> tuple[int, str]:
        """Exit status, and what was printed."""
        with self.started(*options) as process:
            printed, _ = process.communicate(timeout=900)
        return process.returncode, printed

    def wait_for(
        self, process: "subprocess.Popen[str]", wanted: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """The first event of the run for which this holds."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and process.poll() is None:
            found = next(filter(wanted, self.events), None)
            if found is not None:
                return found
            time.sleep(0.05)
        raise AssertionError(f"the event did not come; {self.log[-2000:]}")

    @property
    def log(self) -> str:
        """What the steps of the last run printed."""
        path = self.folder / "out" / "run.log"
        return path.read_text() if path.exists() else ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of the last run."""
        return list(filter(None, map(parse_event, self.log.splitlines())))

    @property
    def summary(self) -> dict[str, Any]:
        """``summary.json``."""
        value: dict[str, Any] = json.loads((self.folder / "out" / "summary.json").read_text())
        return value

    @property
    def outcome(self) -> dict[str, Any]:
        """What may not depend on where a run runs: verdict, and digests of models by arm."""
        summary = self.summary
        return {
            "verdict": summary["verdict"],
            "bundles": summary["digests"]["bundles"],
            "onnx": summary["digests"]["onnx"],
        }

    def containers(self, client: Any) -> list[Any]:
        """Of the runs in this folder, whatever their state; others may use the engine too."""
        found = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
        return [
            container
            for container in found
            if any(
                Path(mount["Source"]).is_relative_to(self.folder)
                for mount in container.attrs["Mounts"]
            )
        ]

    def wait_until_gone(self, client: Any) -> None:
        """Until there are no containers of the runs in this folder."""
        deadline = time.monotonic() + 60
        while self.containers(client) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert [container.name for container in self.containers(client)] == []

    def _as_user(self) -> list[str]:
        if os.getuid() != 0:
            return []
        socket = Path(self.host.removeprefix("unix://"))
        groups = (socket.stat().st_gid,) if self.groups is None else self.groups
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, STRANGER, STRANGER)
        # The user may read what is root's: the interpreter of the tests.
        return [
            "setpriv",
            f"--reuid={STRANGER}",
            f"--regid={STRANGER}",
            f"--groups={','.join(map(str, groups))}",
            "--inh-caps=+dac_read_search",
            "--ambient-caps=+dac_read_search",
        ]
