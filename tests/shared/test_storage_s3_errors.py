"""Which errors of S3 an outage may explain, and which it may not."""

import pytest
from botocore import exceptions as boto

from components.shared.storage.patience import Trouble
from components.shared.storage.s3_errors import trouble_of

URL = "http://host"


def answer(status: int, code: str) -> boto.ClientError:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(response, "GetObject")


@pytest.mark.parametrize(
    "error",
    [
        answer(500, "InternalError"),
        answer(503, "SlowDown"),
        answer(502, "502"),
        answer(429, "429"),
        answer(400, "RequestTimeout"),
        answer(400, "BadDigest"),
        answer(409, "ConditionalRequestConflict"),
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        boto.ReadTimeoutError(endpoint_url=URL),
        boto.FlexibleChecksumError(error_msg="differs"),
    ],
)
def test_answer_that_the_server_cannot_or_that_is_broken_is_asked_for_again(error):
    assert trouble_of(error) is Trouble.BROKEN


@pytest.mark.parametrize(
    "error",
    [
        boto.EndpointConnectionError(endpoint_url=URL),
        boto.ConnectTimeoutError(endpoint_url=URL),
        boto.ConnectionClosedError(endpoint_url=URL),
        boto.SSLError(endpoint_url=URL, error="UNEXPECTED_EOF_WHILE_READING"),
    ],
)
def test_server_that_does_not_answer_is_asked_again(error):
    assert trouble_of(error) is Trouble.UNREACHABLE


@pytest.mark.parametrize(
    "error",
    [
        answer(403, "AccessDenied"),
        answer(404, "NoSuchKey"),
        answer(412, "PreconditionFailed"),
        answer(501, "NotImplemented"),
        boto.NoCredentialsError(),
        boto.ParamValidationError(report="Invalid bucket name"),
        boto.SSLError(endpoint_url=URL, error="CERTIFICATE_VERIFY_FAILED"),
        ValueError(),
    ],
)
def test_refusal_is_final(error):
    assert trouble_of(error) is None
