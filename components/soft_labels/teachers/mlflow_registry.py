"""From ``models:/…`` to the files of a registered MLflow model on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from components.shared import urls
from components.shared.errors import StorageFailed, UserError
from components.shared.mlflow_settings import set_mlflow_defaults
from components.shared.urls import A_TRACKING_URI

_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
_MESSAGE_LENGTH = 300
_META = "registered_model_meta"
"""What MLflow adds to a download; it names the version, and is no part of the model."""


def fetch_model(uri: str, tracking_uri: str, folder: Path) -> str:
    """Bring a registered model's files into ``folder``.

    Args:
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        tracking_uri: of MLflow; empty for the environment's ``MLFLOW_TRACKING_URI``.
        folder: where the files go; must not exist.

    Returns:
        The URI with the version that it meant.

    Raises:
        UserError: there is no such model, version or alias, or MLflow refuses access.
        StorageFailed: MLflow, or where it keeps its files, was out of reach.
    """
    set_mlflow_defaults()
    import mlflow.artifacts
    from mlflow.tracking import MlflowClient

    server = _tracking_uri(tracking_uri)
    with _clear_errors(uri, server):
        client = MlflowClient(tracking_uri=server, registry_uri=server)
        name, at, alias = uri.removeprefix("models:/").partition("@")
        if at:
            version = client.get_model_version_by_alias(name, alias).version
        else:
            name, _, version = name.rpartition("/")
            client.get_model_version(name, version)
        found = f"models:/{name}/{version}"
        mlflow.artifacts.download_artifacts(
            artifact_uri=found, dst_path=str(folder), tracking_uri=server, registry_uri=server
        )
    (folder / _META).unlink(missing_ok=True)
    return found


def _tracking_uri(given: str) -> str:
    if "@" in urls.split(given, "the tracking URI", A_TRACKING_URI).netloc:
        raise UserError(
            "tracking_uri holds a user or password, but parameters of a pipeline are kept and "
            "shown; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    uri = given or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise UserError(
            "teacher.source is mlflow, but there is no MLflow tracking URI: pass tracking_uri or "
            "set MLFLOW_TRACKING_URI, for example to http://mlflow:5000"
        )
    database = uri.removeprefix("sqlite:///")
    if database != uri and not Path(database).is_file():
        raise UserError(f"tracking URI {uri}: there is no such file")
    return uri


@contextmanager
def _clear_errors(uri: str, server: str) -> Iterator[None]:
    """Failures of MLflow, of its network and of its storage in a line that holds no password."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        told = f"teacher.uri {uri}: {_redacted(error, server)}"
        if error.error_code in _UNKNOWN:
            raise UserError(f"{told} (MLflow at {_public(server)})") from None
        if error.error_code in _REFUSED:
            raise UserError(
                f"{told}; check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the "
                "rights of that user"
            ) from None
        raise StorageFailed(f"{told} (MLflow at {_public(server)})") from None
    except OSError as error:  # those of requests too
        told = _redacted(error, server)
        raise StorageFailed(f"teacher.uri {uri}: MLflow at {_public(server)}: {told}") from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("boto3", "botocore", "sqlalchemy"):
            raise
        told = _redacted(error, server)
        raise StorageFailed(f"teacher.uri {uri}: MLflow's storage: {told}") from None


def _public(server: str) -> str:
    parts = urlsplit(server)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _redacted(error: Exception, server: str) -> str:
    user_info = urlsplit(server).netloc.rpartition("@")[0]
    text = " ".join(str(error).replace(server, _public(server)).split())
    text = text.replace(f"{user_info}@", "") if user_info else text
    return text if len(text) <= _MESSAGE_LENGTH else f"{text[: _MESSAGE_LENGTH - 1]}…"
