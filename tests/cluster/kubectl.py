"""``kubectl`` as the administrator of the API server of these tests."""

import subprocess
from pathlib import Path

from tests.cluster.api_server import ApiServer
from tests.cluster.kubeconfig import write_kubeconfig
from tests.manifests.rendering import KUBECTL


class Kubectl:
    """Runs ``kubectl``."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self._config = write_kubeconfig(folder / "kubeconfig", server)

    def run(self, *arguments: str, given: str | None = None) -> str:
        """What it prints.

        Raises:
            AssertionError: it failed, with what it said.
        """
        done = self._run(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Whether it ends well."""
        return self._run(*arguments).returncode == 0

    def _run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [KUBECTL, f"--kubeconfig={self._config}", *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
