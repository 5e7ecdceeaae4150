"""The manifests, as far as they can be checked without a cluster."""

from pathlib import Path
from typing import Any

import yaml

BASE = Path(__file__).parents[1] / "manifests" / "base"


def load(name: str) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load((BASE / name).read_text())
    return value


def test_kustomization_names_every_file_and_no_other() -> None:
    named = set(load("kustomization.yaml")["resources"])
    assert named == {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}


def test_namespace_enforces_the_restricted_pod_security_standard() -> None:
    labels = load("namespace.yaml")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_steps_get_no_token_for_the_kubernetes_api() -> None:
    assert load("service-account.yaml")["automountServiceAccountToken"] is False
