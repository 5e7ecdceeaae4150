"""Finding the Kubernetes API: from inside a pod by its service account, else by kubeconfig."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from components.shared.errors import UserError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoCluster(UserError):  # noqa: N818 - reads as a fact
    """Neither is this process in a pod, nor does a kubeconfig lead to a cluster."""


def in_pod() -> bool:
    """Whether this process runs in a pod."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


def has_token() -> bool:
    """Whether the pod may talk to the API at all."""
    return (SERVICE_ACCOUNT / "token").is_file()


def connect_to_cluster() -> tuple["ApiClient", str | None]:
    """A client of the API, and the namespace that this process is in.

    The namespace is the pod's own, or that of kubeconfig's context; null where that names none.

    Raises:
        NoCluster: there is no usable kubeconfig.
    """
    from kubernetes.client import ApiClient, Configuration

    configuration = Configuration()
    # A repeated request would be answered as if somebody else had been quicker.
    configuration.retries = 0
    namespace = (
        _use_service_account(configuration)
        if in_pod() and has_token()
        else _use_kubeconfig(configuration)
    )
    return ApiClient(configuration), namespace


def _use_service_account(configuration: "Configuration") -> str:
    from kubernetes.config.incluster_config import InClusterConfigLoader

    files = (str(SERVICE_ACCOUNT / name) for name in ("token", "ca.crt"))
    InClusterConfigLoader(*files).load_and_set(configuration)
    return (SERVICE_ACCOUNT / "namespace").read_text().strip()


def _use_kubeconfig(configuration: "Configuration") -> str | None:
    from kubernetes import config

    # The library reads the variable when it is imported, which may be before it was set.
    file = os.environ.get("KUBECONFIG") or None
    try:
        config.load_kube_config(file, client_configuration=configuration, persist_config=False)
        _, context = config.list_kube_config_contexts(file)
    except (config.ConfigException, OSError) as error:
        reason = str(error).rstrip(".")
        raise NoCluster(f"no Kubernetes cluster: {reason}; point KUBECONFIG at one") from error
    namespace = context["context"].get("namespace")
    return str(namespace) if namespace else None
