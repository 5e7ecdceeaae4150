"""The recipe's `registry.webhooks` and `registry.kserve`."""

import json

import pytest

from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec, parse_section
from components.shared.recipe.hooks import KServeSpec, WebhookSpec


def parse(section: dict[str, object]) -> RegistrySpec:
    return parse_section(RegistrySpec, {"model": "digits", **section}, "registry")


def error_of(section: dict[str, object]) -> str:
    with pytest.raises(UserError) as caught:
        parse(section)
    return str(caught.value)


def webhook(**fields: object) -> dict[str, object]:
    return {"webhooks": [{"url": "https://hooks.example.org/models", **fields}]}


def kserve(**fields: object) -> dict[str, object]:
    return {"kserve": {"namespace": "serving", **fields}}


def test_defaults_tell_of_everything_and_apply_nothing():
    section = parse(webhook() | kserve())

    (found,) = section.webhooks
    assert found.events == ["promoted", "rejected", "rolled_back", "challenger", "moved"]
    assert found.secret_env == "KUBEDISTILL_WEBHOOK_SECRET"  # noqa: S105 - a name
    assert section.kserve.apply is False


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org",
        "https://hooks.example.org:8443/a/b",
        "https://10.1.2.3/a",
        "http://localhost:8080/a",
        "http://127.0.0.1",
        "http://127.8.8.8:80/",
        "http://[::1]:8080/",
        "http://receiver/models",
        "http://receiver.serving.svc",
        "http://receiver.serving.svc.cluster.local:8080/models",
    ],
)
def test_url_is_https_or_stays_inside(url):
    assert WebhookSpec(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/models",
        "http://10.1.2.3/",
        "http://receiver.serving",
        "http://svc.example.org",
        "http://a.svc.example.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://134744072",  # 8.8.8.8
        "http://0x08080808",
        "http://0.0.0.0",
    ],
)
def test_url_that_leaves_the_cluster_unencrypted_is_refused(url):
    assert "registry.webhooks[0].url: should be https://" in error_of(webhook(url=url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ada:hunter2@example.org", "url: holds a user or password"),
        ("https://hunter2@example.org", "url: holds a user or password"),
        ("https://@example.org", "url: holds a user or password"),
        ("https://example.org/a?token=hunter2", "url: should have no query"),
        ("https://example.org/a?", "url: should have no query"),
        ("https://example.org/a#hunter2", "url: should have no query"),
        ("ftp://example.org/hunter2", "url: should be a URL such as"),
        ("example.org/hunter2", "url: should be a URL such as"),
        ("https:///hunter2", "url: should be a URL such as"),
        ("https://example.org:hunter2", "url: is not a URL"),
        ("https://[hunter2", "url: is not a URL"),
        ("https://example.org/hunter2\nX: y", "url: is not a URL"),
        ("https://example.org\\@hunter2.org", "url: "),
    ],
)
def test_url_with_a_secret_or_without_sense_is_refused_without_repeating_it(url, expected):
    message = error_of(webhook(url=url))

    assert f"registry.webhooks[0].{expected}" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("name", ["whsec_aHVudGVyMg", "hunter2/+=", "my-hunter2", "2hunter2", ""])
def test_secret_in_the_place_of_its_name_is_refused_without_repeating_it(name):
    message = error_of(webhook(secret_env=name))

    assert "registry.webhooks[0].secret_env: should be the name of an environment vari" in message
    assert "hunter2" not in message
    assert "aHVudGVyMg" not in message


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (webhook(event=["promoted"]), "webhooks[0].event: unknown field; did you mean events?"),
        (webhook(events=["deployed"]), "webhooks[0].events[0]: input should be 'promoted'"),
        (webhook(events=[]), "webhooks[0].events: "),
        (webhook(events=["moved", "moved"]), "webhooks[0].events: moved is listed more than"),
        (webhook(timeout_s=0), "webhooks[0].timeout_s: "),
        (webhook(attempts=100), "webhooks[0].attempts: "),
        ({"webhooks": webhook()["webhooks"] * 2}, "webhooks: https://hooks.example.org/models is"),
        ({"kserve": {}}, "kserve.namespace: is required"),
        (kserve(namespace="A B"), "kserve.namespace: "),
        (kserve(name="7digits"), "kserve.name: "),
        (kserve(name="x" * 41), "kserve.name: "),
        (kserve(min_replicas=3, max_replicas=2), "kserve: max_replicas is 2, but min_replicas is"),
        (
            kserve(requests={"cpu": "much"}),
            "kserve.requests.cpu: should be a quantity such as 500m",
        ),
        (
            kserve(limits={"memory": "1 GB"}),
            "kserve.limits.memory: should be a quantity such as 500m",
        ),
        (kserve(artifacts="/data"), "kserve.artifacts: should be a URI without credentials"),
        (kserve(artifacts="s3://key:hunter2@b"), "kserve.artifacts: should be a URI without cred"),
        (kserve(aply=True), "kserve.aply: unknown field; did you mean apply?"),
    ],
)
def test_error_names_the_field_and_what_to_write(section, expected):
    message = error_of(section)

    assert f"registry.{expected}" in message
    assert "hunter2" not in message


def test_amounts_may_be_numbers():
    spec = KServeSpec(namespace="serving", requests={"cpu": 2, "memory": "1.5Gi"})

    assert spec.requests == {"cpu": "2", "memory": "1.5Gi"}
    assert KServeSpec(namespace="serving", limits={"cpu": 0.5}).limits == {"cpu": "0.5"}


def test_section_survives_the_trip_through_pipeline_parameters():
    written = webhook(attempts=3) | kserve(requests={"cpu": 1}, max_replicas=2, artifacts="s3://a/")
    section = parse(written)

    sent = json.loads(section.model_dump_json(), parse_int=float)

    assert parse(sent) == section
