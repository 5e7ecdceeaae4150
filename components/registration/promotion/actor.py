"""Who moves an alias, as far as the environment tells."""

import getpass
import os
import socket
from collections.abc import Mapping

from components.shared.cluster import in_pod

ACTOR = "KUBEDISTILL_ACTOR"
"""Names who acts, where a workflow or another service does it for somebody."""
_LONGEST = 200


def actor(environment: Mapping[str, str] = os.environ) -> str:
    """The person, workflow or pod that acts; at most 200 characters.

    It is what the environment says, not proof: whoever may write to the registry can set it.
    """
    return "".join(filter(str.isprintable, _named(environment)))[:_LONGEST]


def _named(environment: Mapping[str, str]) -> str:
    if environment.get(ACTOR):
        return environment[ACTOR]
    if environment.get("GITHUB_ACTOR"):
        workflow = environment.get("GITHUB_WORKFLOW", "a workflow")
        return f"{environment['GITHUB_ACTOR']} by {workflow}"
    host = socket.gethostname()
    return f"pod {host}" if in_pod() else f"{_user()}@{host}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return str(os.getuid())
