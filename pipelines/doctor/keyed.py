"""Secrets and config maps: whether they are there with their keys. Values are not looked at."""

from collections.abc import Iterator
from typing import Any

from pipelines.doctor.api import KubernetesApi, NotAllowed
from pipelines.doctor.findings import Finding, Status
from pipelines.doctor.needs import KeyedNeed, Needs

_PLURAL = {"secret": "secrets", "config map": "configmaps"}
_PULL_TYPES = {"kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"}


def check_keyed(api: KubernetesApi, needs: Needs, namespace: str) -> Iterator[Finding]:
    """Each secret and config map of the recipe, and those that images are pulled with."""
    for need in needs.keyed:
        yield _check(api, need, namespace)
    for name in needs.pull_secrets:
        yield _check_pull_secret(api, name, namespace)


def _check(api: KubernetesApi, need: KeyedNeed, namespace: str) -> Finding:
    check = f"{need.kind}: {need.name}"
    found = _get(api, _PLURAL[need.kind], need.name, namespace, check)
    if isinstance(found, Finding):
        return found
    bad: Status = "warning" if need.optional else "failed"
    kubectl = "kubectl create " + ("secret generic" if need.kind == "secret" else "configmap")
    keys = f"--from-env-file=FILE, with {', '.join(need.keys)} in it" if need.keys else ""
    if found is None:
        advice = f"{kubectl} {need.name} -n {namespace} {keys}".rstrip()
        return Finding(check, bad, f"is not in the namespace {namespace}", advice)
    have = {**(found.get("data") or {}), **(found.get("binaryData") or {})}
    missing = [key for key in need.keys if key not in have]
    if missing:
        said = f"has no key {', '.join(missing)}; it has {', '.join(sorted(have)) or 'none'}"
        advice = f"kubectl edit {_PLURAL[need.kind]} {need.name} -n {namespace}, or mend the recipe"
        return Finding(check, bad, said, advice)
    empty = [key for key in need.keys if not have[key]]
    if empty:
        return Finding(check, bad, f"is empty at {', '.join(empty)}", "give it a value")
    return Finding(check, "ok", f"has {', '.join(need.keys) or 'what it should'}")


def _check_pull_secret(api: KubernetesApi, name: str, namespace: str) -> Finding:
    check = f"pull secret: {name}"
    found = _get(api, "secrets", name, namespace, check)
    if isinstance(found, Finding):
        return found
    advice = f"kubectl create secret docker-registry {name} -n {namespace} …"
    if found is None:
        return Finding(check, "failed", f"is not in the namespace {namespace}", advice)
    if found["type"] not in _PULL_TYPES:
        return Finding(check, "failed", f"is of the type {found['type']}", advice)
    return Finding(check, "ok", f"is of the type {found['type']}")


def _get(
    api: KubernetesApi, plural: str, name: str, namespace: str, check: str
) -> dict[str, Any] | Finding | None:
    try:
        return api.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
    except NotAllowed as error:
        return Finding(check, "unchecked", str(error), f"run this as somebody who may get {plural}")
