"""Which lock is chosen, by the setting, the store and the surroundings."""

import re
from pathlib import Path

import pytest
import yaml

from components.registration.locking.choosing import choose_lock
from components.registration.locking.file_lock import FileLock
from components.registration.locking.lease import LeaseLock
from components.registration.locking.lease_api import LeaseApi
from components.registration.locking.lock import Lock, LockUnavailable
from components.registration.locking.names import lease_name, lock_file_name
from components.registration.store import Store, locate
from components.shared import cluster
from components.shared.errors import UserError

SERVER = Store("http://mlflow:5000", None)
LEASE = lease_name("digits-student", "champion")
CLOSED_PORT = 1


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine outside of any cluster."""
    for name in ("KUBEDISTILL_LOCK", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", tmp_path / "account")


def choose(store: Store = SERVER, model: str = "digits-student", alias: str = "champion") -> Lock:
    return choose_lock(store, model, alias)


def be_in_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(CLOSED_PORT))
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("secret")
    (account / "namespace").write_text("team-a\n")
    (account / "ca.crt").write_text("a certificate")


def write_kubeconfig(tmp_path: Path, **context: str) -> None:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", **context}}],
        "clusters": [{"name": "k", "cluster": {"server": f"https://127.0.0.1:{CLOSED_PORT}"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))


def test_database_is_locked_by_a_file_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also in a pod, since whoever writes to it has the file."""
    store = locate(f"sqlite:///{tmp_path}/mlflow.db")
    expected = FileLock(tmp_path / "mlflow.db.promotion.lock")

    assert choose(store) == expected
    be_in_pod(monkeypatch, tmp_path)
    assert choose(store) == expected
    assert expected.guard is None


def test_lock_of_promotions_is_not_that_of_making_the_database(tmp_path: Path) -> None:
    """Whoever holds the one may open the store."""
    store = locate(f"sqlite:///{tmp_path}/mlflow.db")

    with choose(store).hold() as hold, store.locked():
        hold.check()


def test_server_is_locked_by_a_file_in_the_users_state_folder(tmp_path: Path) -> None:
    lock = choose()

    folder = tmp_path / "home" / ".local" / "state" / "kubedistill" / "locks"
    path = folder / lock_file_name("http://mlflow:5000", "digits-student", "champion")
    assert lock == FileLock(path, reach="machine")
    assert lock.guard == "local"


def test_state_folder_is_where_the_user_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lock = choose()
    assert isinstance(lock, FileLock)
    assert lock.path.parent == tmp_path / "state" / "kubedistill" / "locks"


def test_runs_on_one_machine_agree_on_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    first = choose()
    monkeypatch.setenv("TMPDIR", "/elsewhere")

    with_password = Store("http://me:secret@mlflow:5000/", None)
    assert choose(with_password) == first
    assert choose(alias="champion-eu") != first
    assert choose(model="other") != first
    assert choose(Store("http://other:5000", None)) != first


def test_pod_takes_a_lease_of_its_own_namespace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    be_in_pod(monkeypatch, tmp_path)

    lock = choose()

    assert isinstance(lock, LeaseLock)
    assert lock.guard == f"lease:team-a/{LEASE}"


def test_pod_without_a_token_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file would be the pod's own, and keep nobody out."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")

    with pytest.raises(UserError, match="no service account token.*manifests/base/promotion-lock"):
        choose()


def test_lease_by_kubeconfig_is_in_the_namespace_of_its_context(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_kubeconfig(tmp_path, namespace="team-b")
    monkeypatch.setenv("KUBEDISTILL_LOCK", "lease")

    assert choose().guard == f"lease:team-b/{LEASE}"


def test_lease_can_be_in_another_namespace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBEDISTILL_LOCK", "lease:kubedistill")

    write_kubeconfig(tmp_path, namespace="team-b")
    assert choose().guard == f"lease:kubedistill/{LEASE}"
    be_in_pod(monkeypatch, tmp_path)
    assert choose().guard == f"lease:kubedistill/{LEASE}"


def test_lease_in_no_namespace_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_kubeconfig(tmp_path)
    monkeypatch.setenv("KUBEDISTILL_LOCK", "lease")

    with pytest.raises(UserError, match="say KUBEDISTILL_LOCK=lease:NAMESPACE"):
        choose()


def test_lease_without_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEDISTILL_LOCK", "lease:kubedistill")

    with pytest.raises(UserError, match="no Kubernetes cluster.*KUBECONFIG.*KUBEDISTILL_LOCK"):
        choose()


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "hunter2",
        "- hunter2",
        "clusters: 5",
        "a:\n\t- hunter2",
        "\x00hunter2",
        "users: [{name: u, user: hunter2}]\nclusters: [{name: k, cluster: {server: 5}}]\n"
        "contexts: [{name: c, context: {cluster: k, user: u}}]\ncurrent-context: c",
    ],
)
def test_kubeconfig_that_is_none_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    monkeypatch.setenv("KUBEDISTILL_LOCK", "lease:kubedistill")

    with pytest.raises(UserError, match="kubeconfig is not a kubeconfig file; point KUBE") as error:
        choose()

    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


def test_token_in_the_wrong_place_of_a_kubeconfig_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_kubeconfig(tmp_path)
    path = tmp_path / "kubeconfig"
    config = yaml.safe_load(path.read_text())
    config["users"] = [{"name": "u", "token": "hunter2"}]
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBEDISTILL_LOCK", "lease:kubedistill")

    with pytest.raises(UserError, match="Expected key user in .*kubeconfig; point") as error:
        choose()

    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("missing", ["ca.crt", "namespace"])
def test_service_account_that_is_not_whole_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    be_in_pod(monkeypatch, tmp_path)
    (tmp_path / "account" / missing).unlink()

    with pytest.raises(UserError, match="no Kubernetes cluster.*token, ca.crt and namespace at"):
        choose()


def test_file_can_be_in_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBEDISTILL_LOCK", f"file:{tmp_path}/shared/../locks")

    lock = choose()

    assert isinstance(lock, FileLock)
    assert lock.path.parent == tmp_path / "locks"
    with lock.hold():
        guard = lock.guard
    assert guard is not None
    assert re.fullmatch("file:[0-9a-f]{32}", guard)
    link = tmp_path / "mounted"
    link.symlink_to(tmp_path / "locks")
    monkeypatch.setenv("KUBEDISTILL_LOCK", f"file:{link}")
    assert choose().guard == guard


def test_folder_that_cannot_be_made_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.setenv("KUBEDISTILL_LOCK", f"file:{tmp_path}/taken/locks")

    with pytest.raises(UserError, match="name another folder by KUBEDISTILL_LOCK=file:FOLDER"):
        choose()


@pytest.mark.parametrize(
    "setting", ["none", "lease:", "leases", "file", "file:", "Lease", "flock:/tmp", ":"]
)
def test_setting_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("KUBEDISTILL_LOCK", setting)

    with pytest.raises(UserError, match="should be lease, lease:NAMESPACE or file:FOLDER"):
        choose()


@pytest.mark.parametrize("namespace", ["Team", "a/b", "-a", "x" * 64])
def test_namespace_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, namespace: str
) -> None:
    write_kubeconfig(tmp_path)
    monkeypatch.setenv("KUBEDISTILL_LOCK", f"lease:{namespace}")

    with pytest.raises(UserError, match="not a name of a namespace"):
        choose()


def test_api_that_cannot_be_reached_is_a_short_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_kubeconfig(tmp_path)
    client, _ = cluster.connect_to_cluster()
    lock = LeaseLock(LeaseApi(client, "default", "lock"), duration_s=6, patience_s=0.5)

    with pytest.raises(LockUnavailable) as error, lock.hold():
        pass

    message = str(error.value)
    assert message.startswith(f"the Kubernetes API at https://127.0.0.1:{CLOSED_PORT}: ")
    assert "Connection refused" in message
    assert "secret" not in message
