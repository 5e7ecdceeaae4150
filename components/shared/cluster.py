"""Finding the Kubernetes API: from inside a pod by its service account, else by kubeconfig."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from components.shared.errors import UserError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoCluster(UserError):  # noqa: N818 - reads as a fact
    """Neither a pod's service account nor a kubeconfig leads to a cluster."""


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
        NoCluster: there is no usable kubeconfig, or, in a pod, no usable service account.
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
    from kubernetes.config import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    files = (str(SERVICE_ACCOUNT / name) for name in ("token", "ca.crt"))
    try:
        InClusterConfigLoader(*files).load_and_set(configuration)
        return (SERVICE_ACCOUNT / "namespace").read_text().strip()
    except (ConfigException, OSError) as error:
        raise NoCluster(
            f"no Kubernetes cluster: {_reason(error)}; let Kubernetes mount the service account's "
            f"token, ca.crt and namespace at {SERVICE_ACCOUNT}"
        ) from error


def _use_kubeconfig(configuration: "Configuration") -> str | None:
    import yaml
    from kubernetes import config

    # The library reads the variable when it is imported, which may be before it was set.
    file = os.environ.get("KUBECONFIG") or None
    try:
        config.load_kube_config(file, client_configuration=configuration, persist_config=False)
        _, context = config.list_kube_config_contexts(file)
        namespace = context["context"].get("namespace")
    except (config.ConfigException, OSError) as error:
        raise NoCluster(
            f"no Kubernetes cluster: {_reason(error)}; point KUBECONFIG at one"
        ) from error
    except (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError):
        # The library takes it that every file is well formed. Not chained: the cause may tell a
        # part of what is in it.
        raise NoCluster(
            f"no Kubernetes cluster: {file or 'the kubeconfig'} is not a kubeconfig file; point "
            "KUBECONFIG at one"
        ) from None
    return str(namespace) if namespace else None


def _reason(error: Exception) -> str:
    """What the library says, without the part of the kubeconfig that it may show, with tokens."""
    return str(error).partition("/{")[0].rstrip(".")
