"""What GitHub's workflows may do in the cluster: each environment of the repository is a user."""

from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.api_server import ApiServer
from tests.cluster.kubectl import Kubectl
from tests.manifests.rendering import MANIFESTS, render

DISTILL = "github:repo:OWNER/REPOSITORY:environment:distill"
PRODUCTION = "github:repo:OWNER/REPOSITORY:environment:production"
OF_ANOTHER = "github:repo:OWNER/ANOTHER:environment:production"
LEASE = ("leases.coordination.k8s.io", "update")


@pytest.fixture(scope="module")
def kubectl(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    found = Kubectl(api_server, tmp_path_factory.mktemp("github"))
    wanted = {"Namespace", "Role", "RoleBinding", "ServiceAccount"}
    objects = [one for one in render("retraining") if one["kind"] in wanted]
    access = (MANIFESTS / "components" / "github" / "access.yaml").read_text()
    given = yaml.safe_dump_all([*objects, *yaml.safe_load_all(access)])
    found.run("apply", "--server-side", "--filename=-", given=given)
    yield found
    found.run("delete", "--filename=-", given=access)


def may(kubectl: Kubectl, user: str, resource: str, verb: str) -> bool:
    asked = ("auth", "can-i", verb, resource, f"--as={user}", "--namespace=kubedistill", "--quiet")
    return kubectl.succeeds(*asked)


@pytest.mark.parametrize("user", [DISTILL, PRODUCTION])
def test_workflows_get_tokens_of_the_account_that_submits_and_of_no_other(
    kubectl: Kubectl, user: str
) -> None:
    create = ("create", "token", "--namespace=kubedistill", f"--as={user}")
    audience = "--audience=pipelines.kubeflow.org"
    assert kubectl.run(*create, "kubedistill-submit", audience).count(".") == 2  # a JWT
    assert not kubectl.succeeds(*create, "kubedistill-pipeline", audience)
    assert not may(kubectl, user, "secrets", "get")
    assert not may(kubectl, user, "pods", "create")


def test_only_the_environment_with_reviewers_can_hold_the_lock_of_a_promotion(
    kubectl: Kubectl,
) -> None:
    assert may(kubectl, PRODUCTION, *LEASE)
    assert not may(kubectl, DISTILL, *LEASE)


def test_another_repository_has_no_right(kubectl: Kubectl) -> None:
    assert not may(kubectl, OF_ANOTHER, *LEASE)
    assert not may(kubectl, OF_ANOTHER, "serviceaccounts/token", "create")
