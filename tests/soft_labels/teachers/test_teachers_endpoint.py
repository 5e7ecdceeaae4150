import json
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.shared.dataset import Dataset, Rows
from components.shared.errors import UserError
from components.shared.recipe.teacher import Budget, EndpointTeacher
from components.shared.soft_labels import StoreManifest
from components.shared.teacher import read_teacher
from components.soft_labels.steps import generate_soft_labels
from components.soft_labels.teachers.checking import UnusableRowError
from components.soft_labels.teachers.endpoint_client import EndpointFailed
from components.soft_labels.teachers.importing import import_foreign
from components.soft_labels.teachers.opening import open_teacher
from components.soft_labels.teachers.protocol import Teacher
from components.soft_labels.teachers.spending import BudgetSpent, Pace
from components.soft_labels.teachers.steps import import_teacher
from tests.servers.inference_server import Fault, InferenceServer, inference_server
from tests.soft_labels.teachers.conftest import Classifier, softmax

Take = Callable[..., Teacher]


@pytest.fixture
def server(classifier: Classifier) -> Iterator[InferenceServer]:
    with inference_server(classifier.probabilities, (64,), 10) as running:
        yield running


@pytest.fixture
def take(data: Dataset, server: InferenceServer, tmp_path: Path) -> Take:
    """Import the served model, and open what came of it."""

    def import_and_open(**fields: Any) -> Teacher:
        settings = {"url": server.url, "model": "digits", "retry_for_s": 60.0, **fields}
        spec = EndpointTeacher(source="endpoint", **settings)
        record = import_foreign(spec, data, "", tmp_path / "teacher")
        return open_teacher(tmp_path / "teacher", record.digest)

    return import_and_open


def test_answers_come_back_in_the_order_of_the_rows(
    take: Take, server: InferenceServer, classifier: Classifier, pool: Rows
) -> None:
    server.faults = [Fault(seconds=0.2, change=lambda _: None)]  # the first request is the slowest
    teacher = take(rows_per_request=100, concurrency=3)
    found = softmax(teacher.logits(pool.inputs))
    np.testing.assert_allclose(found, classifier.probabilities(pool.inputs), atol=1e-5)
    assert server.requests == [100] * 9
    assert server.most_at_once <= 3


def test_a_given_version_and_another_order_of_classes_are_kept_to(
    take: Take, classifier: Classifier, server: InferenceServer, pool: Rows
) -> None:
    server.predict = lambda rows: classifier.logits(rows)[:, ::-1]
    order = [str(digit) for digit in reversed(range(10))]
    teacher = take(version="3", classes=order, output="logits", output_name="scores")
    np.testing.assert_allclose(
        teacher.logits(pool.inputs), classifier.logits(pool.inputs), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(status=500),
        Fault(status=503, body=b"<html>starting</html>"),
        Fault(cut=True, change=lambda _: None),
    ],
)
def test_what_may_pass_is_tried_again(
    take: Take, server: InferenceServer, classifier: Classifier, pool: Rows, fault: Fault
) -> None:
    server.faults = [fault, fault]
    found = softmax(take().logits(pool.inputs[:10]))
    np.testing.assert_allclose(found, classifier.probabilities(pool.inputs[:10]), atol=1e-5)
    assert server.requests == [10, 10, 10]


def test_an_answer_that_takes_too_long_is_not_waited_for(
    take: Take, server: InferenceServer, pool: Rows
) -> None:
    teacher = take(timeout_s=1.0, retry_for_s=300.0)
    server.faults = [Fault(seconds=5.0)]
    teacher.logits(pool.inputs[:10])
    assert len(server.requests) > 1


@pytest.mark.parametrize(
    ("fault", "last"),
    [
        (Fault(status=503), "503: injected"),
        (Fault(status=429, headers={"Retry-After": "3600"}), "429: injected"),
    ],
)
def test_retries_end_with_the_last_error(
    take: Take, server: InferenceServer, pool: Rows, fault: Fault, last: str
) -> None:
    server.faults = [fault] * 100
    with pytest.raises(EndpointFailed, match=rf"digits/infer|digits gave no answer.* {last}"):
        take(retry_for_s=0.5).logits(pool.inputs[:10])
    assert len(server.requests) < 10


def test_a_server_that_is_not_there_is_an_outage(take: Take) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(EndpointFailed, match="retries for 0.5 s.*ConnectionRefusedError"):
        take(url=url, retry_for_s=0.5)


def test_a_request_that_is_refused_is_not_tried_again(
    take: Take, server: InferenceServer, pool: Rows
) -> None:
    server.faults = [Fault(status=400, body=b'{"error": "pixels must be\\n in 0..1"}')]
    with pytest.raises(UserError, match="answers 400: pixels must be in 0..1"):
        take().logits(pool.inputs[:10])
    assert len(server.requests) == 1


def test_a_token_goes_from_the_environment_to_the_server_and_nowhere_else(
    take: Take, server: InferenceServer, pool: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, variable = secrets.token_hex(8), "TEACHER_TOKEN"
    server.token = secret
    monkeypatch.setenv(variable, secret)
    take(token_env=variable).logits(pool.inputs[:10])
    assert secret not in (tmp_path / "teacher" / "teacher.json").read_text()
    with pytest.raises(UserError, match="401: who are you.* teacher.token_env"):
        take()
    monkeypatch.delenv(variable)
    with pytest.raises(UserError, match="TEACHER_TOKEN is not set"):
        take(token_env=variable)


def _two_rows_less(answer: dict[str, Any]) -> None:
    output = answer["outputs"][0]
    output["shape"][0] -= 2
    output["data"] = output["data"][:-20]


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda answer: answer["outputs"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_two_rows_less, r"shape \[8, 10\] for 10 rows"),
        (_set(shape=[10, 9]), "cannot be read"),
        (_set(shape=[100], data=[0.1] * 100), r"shape \[100\] for 10 rows"),
        (_set(shape=[10, 2], data=[0.5] * 20), r"shape \[10, 2\] for 10 rows, not \[10, 10\]"),
        (_set(name="other"), "has no output 'scores', but other"),
        (_set(data=["a"] * 100), "cannot be read"),
        (lambda answer: answer.update(id="another"), "answered request 'another'"),
        (lambda answer: answer.pop("outputs"), "none of its protocol"),
    ],
)
def test_an_answer_to_something_else_is_refused(
    take: Take,
    server: InferenceServer,
    pool: Rows,
    change: Callable[[dict[str, Any]], None],
    message: str,
) -> None:
    server.faults = [Fault(change=change)]
    with pytest.raises(UserError, match=message):
        take().logits(pool.inputs[:10])


def test_an_answer_that_is_no_json_is_refused(
    take: Take, server: InferenceServer, pool: Rows
) -> None:
    server.faults = [Fault(body=b"<html>a proxy</html>")]
    with pytest.raises(UserError, match="no JSON: <html>a proxy"):
        take().logits(pool.inputs[:10])


@pytest.mark.parametrize("wrong", [np.nan, 0.7])
def test_a_row_that_the_model_has_no_probabilities_for_is_named(
    take: Take, server: InferenceServer, classifier: Classifier, pool: Rows, wrong: float
) -> None:
    odd = pool.inputs[17].ravel()

    def predict(rows: np.ndarray) -> np.ndarray:
        scores = classifier.probabilities(rows)
        scores[(rows == odd).all(axis=1)] = wrong
        return scores

    server.predict = predict
    with pytest.raises(UnusableRowError) as raised:
        take(rows_per_request=7).logits(pool.inputs[:30])
    assert raised.value.row == 17


def test_a_gap_is_named_before_anything_is_sent(
    take: Take, server: InferenceServer, pool: Rows
) -> None:
    rows = pool.inputs[:30].copy()
    rows[11, 0, 2, 2] = np.nan
    with pytest.raises(UnusableRowError, match="data.input.missing") as raised:
        take().logits(rows)
    assert (raised.value.row, server.requests) == (11, [])


@pytest.mark.parametrize(
    ("budget", "sent"),
    [({"requests": 3}, [10, 10, 10]), ({"rows": 25}, [10, 10]), ({"seconds": 0.2}, [10])],
)
def test_a_budget_ends_it_with_what_was_answered(
    take: Take, server: InferenceServer, pool: Rows, budget: dict[str, float], sent: list[int]
) -> None:
    if "seconds" in budget:
        server.faults = [Fault(seconds=0.3, change=lambda _: None)]
    teacher = take(rows_per_request=10, concurrency=1, budget=Budget(**budget))
    told = f"{sum(sent)} rows were answered in {len(sent)} requests"
    with pytest.raises(BudgetSpent, match=told):
        teacher.logits(pool.inputs[:50])
    assert server.requests == sent


def test_requests_that_are_tried_again_cost_requests_but_no_rows(
    take: Take, server: InferenceServer, pool: Rows
) -> None:
    server.faults = [Fault(status=503)]
    budget = Budget(rows=20, requests=3)
    teacher = take(rows_per_request=10, concurrency=1, budget=budget)
    teacher.logits(pool.inputs[:20])
    with pytest.raises(BudgetSpent, match="teacher.budget.requests"):
        teacher.logits(pool.inputs[:1])


def test_a_pace_gives_every_row_its_share_of_time() -> None:
    pace = Pace(rows_per_s=100)
    assert [pace.delay(50, now) for now in (10.0, 10.0, 10.1)] == pytest.approx([0.0, 0.5, 0.9])
    assert pace.delay(50, 20.0) == 0.0  # a pause earns no burst
    assert pace.delay(50, 20.0) == pytest.approx(0.5)
    assert Pace(None).delay(10**9, 0.0) == 0.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "cats"}, "404: no model at /v2/models/cats/ready"),
        ({"version": "4"}, "404: no model at /v2/models/digits/versions/4/ready"),
        ({"input_name": "image"}, "no input 'image'; it has pixels"),
        ({"output_name": "label"}, "output label is INT64 of shape .* has 10 classes"),
        ({"classes": ["a", "b"]}, "the served model does not fit"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    take: Take, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        take(**fields)


def test_a_model_that_is_not_ready_in_time_is_an_outage(
    take: Take, server: InferenceServer
) -> None:
    server.ready = False
    with pytest.raises(EndpointFailed, match="503"):
        take(retry_for_s=0.3)


def test_another_model_behind_the_same_url_is_noticed(
    take: Take, server: InferenceServer, data: Dataset, tmp_path: Path
) -> None:
    digest = take().digest
    server.datatype = "FP64"
    with pytest.raises(UserError, match="it is another model now; run again"):
        open_teacher(tmp_path / "teacher", digest)
    assert take().digest != digest


def test_limits_are_no_part_of_the_teachers_identity(take: Take, tmp_path: Path) -> None:
    assert take(timeout_s=3, budget=Budget(rows=7)).digest == take().digest
    record = json.loads((tmp_path / "teacher" / "teacher.json").read_text())
    assert record["limits"]["budget"] is None
    assert "digits behind http" in read_teacher(tmp_path / "teacher").in_words


def test_images_go_in_the_layout_and_type_that_the_model_wants(
    data: Dataset, classifier: Classifier, pool: Rows, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(
            inference_server(classifier.probabilities, (8, 8, 1), 10, datatype="UINT8")
        )
        spec = EndpointTeacher(source="endpoint", url=server.url, model="digits")
        record = import_foreign(spec, data, "", tmp_path / "teacher")
        teacher = open_teacher(tmp_path / "teacher", record.digest)
        found = softmax(teacher.logits(pool.inputs[:50]))
        np.testing.assert_allclose(found, classifier.probabilities(pool.inputs[:50]), atol=1e-5)
        with pytest.raises(UserError, match="takes UINT8; a row has other numbers"):
            teacher.logits(pool.inputs[:50] + 0.5)


def test_shards_that_were_paid_for_stay_and_are_not_asked_for_again(
    digits: Path,
    data: Dataset,
    server: InferenceServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    section = {"source": "endpoint", "url": server.url, "model": "digits"}
    digest = data.manifest.digest

    def label(store: str, **budget: int) -> StoreManifest:
        spec = {**section, "rows_per_request": 128.0, **({"budget": budget} if budget else {})}
        record = import_teacher(digits, digest, spec, "", tmp_path / "teacher")
        labelling = {"shard_rows": 256}
        return generate_soft_labels(
            digits, digest, tmp_path / "teacher", record.digest, labelling, "", tmp_path / store
        )

    with pytest.raises(SystemExit) as ended:
        label("labels", rows=1000)
    assert ended.value.code == 2
    assert "teacher.budget.rows (1,000) is spent" in capsys.readouterr().out
    kept = len(list((tmp_path / "labels").glob("*.safetensors")))
    assert 0 < kept < 4
    server.requests.clear()
    resumed = label("labels", rows=1797 - 256 * kept)
    assert sum(server.requests) == 1797 - 256 * kept
    assert resumed == label("undisturbed")
