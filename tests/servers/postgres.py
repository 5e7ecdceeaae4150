"""A PostgreSQL cluster of its own, in a temporary folder."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from tests.servers.processes import (
    HOST,
    Account,
    ServerFailed,
    environment,
    free_ports,
    running,
)

_DEBIAN = Path("/usr/lib/postgresql")
_USER = "kubedistill"
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    # The data are thrown away: nothing has to survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True)
class Postgres:
    """A cluster that is running, with one superuser."""

    port: int
    password: str
    folder: Path

    def create_database(self, name: str) -> str:
        """Make an empty database; return its SQLAlchemy URI.

        The URI names the driver, since SQLAlchemy's default one differs between its versions.
        """
        connection = self._connect("postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}"')
        finally:
            connection.close()
        return f"postgresql+psycopg2://{_USER}:{self.password}@{HOST}:{self.port}/{name}"

    def is_ready(self) -> bool:
        """Whether it lets a client in."""
        try:
            self._connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host=HOST,
            port=self.port,
            user=_USER,
            password=self.password,
            dbname=database,
            connect_timeout=5,
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a new cluster for the block, and remove it.

    Raises:
        ServerFailed: PostgreSQL is not installed, or did not start.
    """
    binaries = _binaries()
    account = _account()
    # Not below pytest's folder: that one is closed to the other user that root has to become.
    folder = Path(tempfile.mkdtemp(prefix="kubedistill-postgres-"))
    cluster = Postgres(free_ports(1)[0], secrets.token_hex(16), folder)
    try:
        (folder / "password").write_text(cluster.password)
        if account:
            for path in (folder, folder / "password"):
                os.chown(path, account.user, account.group)
        _initialise(binaries, folder, account)
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        with running(
            [binaries / "postgres", "-D", folder / "data", f"--port={cluster.port}", *settings],
            folder,
            cluster.is_ready,
            account=account,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for clients to leave
        ):
            yield cluster
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    """Debian's binaries, which are not on the path, of the newest version; else those that are."""
    installed = sorted(
        _DEBIAN.glob("*/bin/postgres"), key=lambda path: float(path.parent.parent.name)
    )
    found = installed[-1] if installed else shutil.which("postgres")
    if found is None:
        raise ServerFailed("PostgreSQL is not installed; run .ci/servers, which gets Debian's")
    return Path(found).parent


def _account() -> Account | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(found.pw_uid, found.pw_gid)
    raise ServerFailed("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _initialise(binaries: Path, folder: Path, account: Account | None) -> None:
    done = subprocess.run(
        [
            binaries / "initdb",
            f"--pgdata={folder / 'data'}",
            f"--username={_USER}",
            f"--pwfile={folder / 'password'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ],
        cwd=folder,
        env=environment(),
        **(account.options if account else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerFailed(f"initdb failed: {done.stderr}")
