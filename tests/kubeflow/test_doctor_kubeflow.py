"""What the doctor says of an installation of Kubeflow Pipelines."""

from pipelines.doctor.kubeflow import check_kubeflow
from tests.servers.processes import free_ports


def test_version_of_the_installation_is_told(kubeflow):
    kubeflow.version = "2.17.0"
    (recent,) = check_kubeflow(None, None)
    kubeflow.version = "2.5.0"
    (old,) = check_kubeflow(None, None)

    assert (recent.status, recent.said) == ("ok", f"2.17.0 at {kubeflow.url}")
    assert (old.status, old.advice) == ("warning", "use Kubeflow Pipelines 2.17 or later")


def test_version_that_is_hidden_is_no_fault(kubeflow):
    (found,) = check_kubeflow(None, None)

    assert found.status == "ok"
    assert "its version is hidden" in found.said


def test_installation_that_lets_this_process_not_in_is_a_failure(kubeflow):
    kubeflow.tokens = {"another"}

    (found,) = check_kubeflow(None, None)

    assert found.status == "failed"
    assert "KFP_EXISTING_TOKEN" in found.advice


def test_installation_of_several_users_is_asked_about_the_namespace_of_runs(kubeflow):
    kubeflow.multi_user = True

    (found,) = check_kubeflow(None, "kubedistill")

    assert found.status == "ok"
    assert kubeflow.requests[-1].query["namespace"] == "kubedistill"


def test_installation_that_is_down_is_a_failure():
    (found,) = check_kubeflow(f"http://127.0.0.1:{free_ports(1)[0]}", None)

    assert found.status == "failed"


def test_without_any_word_of_an_installation_nothing_is_claimed():
    (found,) = check_kubeflow(None, None)

    assert found.status == "unchecked"
    assert "KFP_ENDPOINT" in found.said
