"""What an error of S3 means: repeat the call, tell the user, or neither."""

from http import HTTPStatus

from components.shared.storage.patience import Trouble

_TO_REPEAT = {
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "429",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XAmzContentSHA256Mismatch",
}
_WHAT_TO_DO = {
    "AccessDenied": "ask for the right to do this, or use other credentials",
    "AllAccessDisabled": "ask the owner of the bucket",
    "AuthorizationHeaderMalformed": "set AWS_DEFAULT_REGION to the region of the bucket",
    "ExpiredToken": "renew the credentials",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID, or the profile",
    "InvalidToken": "renew the credentials",
    "IllegalLocationConstraintException": "set AWS_DEFAULT_REGION to the region of the bucket",
    "KeyTooLongError": "use shorter names",
    "ParamValidationError": "correct the URI",
    "PermanentRedirect": "set AWS_DEFAULT_REGION to the region of the bucket",
    "QuotaExceeded": "free space in the bucket, or ask for a larger quota",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "SSLError": "set AWS_CA_BUNDLE to the file with the certificates of the endpoint",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY, or the profile",
}
_MISSING = {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}


def trouble_of(error: Exception) -> Trouble | None:
    """Why a call that raised this should be repeated, or ``None``."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    if isinstance(error, boto.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        is_broken = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        is_unknown = status == HTTPStatus.NOT_IMPLEMENTED
        repeat = (is_broken and not is_unknown) or code_of(error) in _TO_REPEAT
        return Trouble.BROKEN if repeat else None
    if isinstance(error, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return None
    if isinstance(
        error,
        boto.ResponseStreamingError
        | boto.ReadTimeoutError
        | boto.IncompleteReadError
        | boto.FlexibleChecksumError
        | ResponseParserError
        | HTTPError,
    ):
        return Trouble.BROKEN
    if isinstance(
        error, boto.ConnectionError | boto.HTTPClientError | boto.CredentialRetrievalError
    ):
        return Trouble.UNREACHABLE
    return None


def code_of(error: Exception) -> str:
    """S3's code of an error, or its class."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "")) or "unknown"
    return type(error).__name__


def is_missing(error: Exception) -> bool:
    """Whether the object is not there. Answers to ``HEAD`` have no more than a status, which is
    the same for a bucket that is not there."""
    return code_of(error) in _MISSING


def is_damage(error: BaseException | None) -> bool:
    """Whether what arrived does not match the server's checksum."""
    from botocore.exceptions import FlexibleChecksumError

    return isinstance(error, FlexibleChecksumError)


def is_failed_condition(error: Exception) -> bool:
    """Whether the object is there, or is not the one that was meant."""
    return code_of(error) in {"PreconditionFailed", "412"}


def missing_bucket(uri: str, bucket: str, who: str) -> str:
    """For the user: the bucket is not there."""
    return f"{uri}: there is no bucket {bucket} ({who}); make it, or correct its name"


def explanation(error: Exception, operation: str, uri: str, bucket: str, who: str) -> str:
    """For the user: what was tried, on what, as whom, and what to do."""
    code = code_of(error)
    if code == "NoSuchBucket":
        return missing_bucket(uri, bucket, who)
    if code in {"NoCredentialsError", "PartialCredentialsError"}:
        return (
            f"{uri}: {operation} needs credentials ({who}): set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run under a role"
        )
    advice = _WHAT_TO_DO.get(code, "check the credentials, the endpoint and the bucket's policy")
    return f"{uri}: {operation} was refused ({code}: {_said(error)}; {who}); {advice}"


def _said(error: Exception) -> str:
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
    return " ".join(str(error).split())
