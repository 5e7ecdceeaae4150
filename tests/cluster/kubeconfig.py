"""Kubeconfigs for the API server of these tests."""

from pathlib import Path

import yaml

from tests.cluster.api_server import ApiServer


def write_kubeconfig(
    path: Path,
    server: ApiServer,
    *,
    token: str | None = None,
    url: str | None = None,
    namespace: str | None = None,
) -> Path:
    """As a person outside of the cluster has it.

    Args:
        path: file to write; returned.
        server: whose certificate is trusted.
        token: of the user; the administrator's by default.
        url: of the API; the server's by default.
        namespace: of the context; none by default.
    """
    cluster = {"server": url or server.url, "certificate-authority": str(server.certificate)}
    context = {"cluster": "test", "user": "user", **({"namespace": namespace} if namespace else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "user", "user": {"token": token or server.token}}],
        "contexts": [{"name": "test", "context": context}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(config))
    return path
