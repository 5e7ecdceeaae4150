"""Service accounts and roles.

What they come to on a real API server: tests/cluster/test_rights.py.
"""

import pytest

from tests.manifests.rendering import OVERLAYS, of_kind, render

WITH_A_TOKEN = {"kubedistill-pipeline", "kubedistill-promotion"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_what_talks_to_the_kubernetes_api_gets_a_token_for_it(overlay: str) -> None:
    accounts = of_kind(render(overlay), "ServiceAccount")
    assert {
        name for name, account in accounts.items() if account["automountServiceAccountToken"]
    } == WITH_A_TOKEN


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_bindings_join_roles_and_accounts_of_one_namespace(overlay: str) -> None:
    objects = render(overlay)
    accounts, roles = of_kind(objects, "ServiceAccount"), of_kind(objects, "Role")
    bindings = of_kind(objects, "RoleBinding")

    assert {binding["roleRef"]["name"] for binding in bindings.values()} == roles.keys()
    for binding in bindings.values():
        assert binding["roleRef"]["kind"] == "Role"
        for subject in binding["subjects"]:
            account = accounts[subject["name"]]["metadata"]
            assert subject["namespace"] == account["namespace"] == binding["metadata"]["namespace"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_right_is_a_wildcard_or_reaches_beyond_the_namespace(overlay: str) -> None:
    objects = render(overlay)
    assert not of_kind(objects, "ClusterRole")
    assert not of_kind(objects, "ClusterRoleBinding")
    for role in of_kind(objects, "Role").values():
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"]
