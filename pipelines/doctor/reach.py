"""What cannot be looked at from here, whatever state it is in."""

from urllib.parse import urlsplit

from components.shared.cluster import in_pod

_IN_CLUSTER = (".svc", ".svc.cluster.local")


def only_in_cluster(url: str) -> str | None:
    """Why a URL cannot be tried from here: it names a service, and this is no pod; else null."""
    host = urlsplit(url).hostname or ""
    if in_pod() or not host.endswith(_IN_CLUSTER):
        return None
    return f"{host} is a name that only pods can resolve"
