"""What cannot be looked at from here, whatever state it is in."""

from components.shared import urls
from components.shared.cluster import in_pod

_IN_CLUSTER = (".svc", ".svc.cluster.local")


def only_in_cluster(url: str, what: str) -> str | None:
    """Why a URL cannot be tried from here: it names a service, and this is no pod; else null.

    Args:
        url: of a server; may be empty.
        what: names it in an error.

    Raises:
        UserError: it is no URL.
    """
    host = urls.split(url, what).hostname or ""
    if in_pod() or not host.endswith(_IN_CLUSTER):
        return None
    return f"{host} is a name that only pods can resolve"
