"""Which lock keeps two writers of a model's alias apart, by where this process runs."""

import os
import re
from pathlib import Path
from typing import Literal

from components.registration.locking.file_lock import FileLock
from components.registration.locking.lease import LeaseLock
from components.registration.locking.lease_api import LeaseApi
from components.registration.locking.lock import Lock
from components.registration.locking.names import lease_name, lock_file_name
from components.registration.store import Store
from components.shared import cluster
from components.shared.errors import UserError

SETTING = "KUBEDISTILL_LOCK"


def choose_lock(store: Store, model: str, alias: str) -> Lock:
    """The lock of an alias: by ``KUBEDISTILL_LOCK``, else by the store and the surroundings.

    An SQLite store is locked by a file beside it, whichever the model. With a server, a pod takes
    a Lease of its own namespace, and a process elsewhere a file in the user's state folder.

    Raises:
        UserError: the setting is none, or cannot be followed here.
    """
    setting = os.environ.get(SETTING, "")
    kind, colon, where = setting.partition(":")
    if kind == "lease" and bool(colon) == bool(where):
        return _lease(model, alias, where or None)
    if kind == "file" and where:
        return _file(Path(where).expanduser().resolve(), "folder", store, model, alias)
    if setting:
        raise UserError(
            f"{SETTING}={setting}: should be lease, lease:NAMESPACE or file:FOLDER; leave it unset "
            "for the lock that fits the tracking server"
        )
    if store.database is not None:
        return FileLock(store.database.with_name(f"{store.database.name}.promotion.lock"))
    if cluster.in_pod():
        _check_token()
        return _lease(model, alias, None)
    return _file(_state_folder() / "kubedistill" / "locks", "machine", store, model, alias)


def _check_token() -> None:
    """A pod's files are its own, so that a lock file in it would keep nobody out."""
    if not cluster.has_token():
        raise UserError(
            "this pod has no service account token, so that it cannot hold the lock (a Lease); run "
            "it with the service account of manifests/base/promotion-lock.yaml, or, with a volume "
            f"that all writers share, set {SETTING}=file:FOLDER"
        )


def _lease(model: str, alias: str, namespace: str | None) -> LeaseLock:
    try:
        client, own = cluster.connect_to_cluster()
    except cluster.NoCluster as error:
        raise UserError(f"{error}, or choose another lock by {SETTING}") from error
    namespace = namespace or own
    if namespace is None:
        raise UserError(
            f"{SETTING}=lease: the context of kubeconfig names no namespace; say "
            f"{SETTING}=lease:NAMESPACE, the one where the pipeline runs"
        )
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
        raise UserError(f"{SETTING}=lease:{namespace}: not a name of a namespace")
    return LeaseLock(LeaseApi(client, namespace, lease_name(model, alias)))


def _file(
    folder: Path, reach: Literal["machine", "folder"], store: Store, model: str, alias: str
) -> FileLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise UserError(
            f"{folder}: cannot keep the lock's file there; name another folder by "
            f"{SETTING}=file:FOLDER"
        )
    path = folder / lock_file_name(store.public_uri.rstrip("/"), model, alias)
    return FileLock(path, reach=reach)


def _state_folder() -> Path:
    """As the XDG base directory specification has it: a relative path in the variable is void."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".local" / "state"
