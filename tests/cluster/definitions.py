"""Definitions of custom resources, for the API server of these tests."""

from typing import Any


def definition(
    group: str, version: str, plural: str, kind: str, schema: dict[str, Any], *, status: bool
) -> dict[str, Any]:
    """A custom resource of one version in namespaces.

    Args:
        group: of its API.
        version: the only one.
        plural: its name in URLs.
        kind: its name in manifests.
        schema: of the whole object.
        status: whether its status is a resource of its own.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    **({"subresources": {"status": {}}} if status else {}),
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
