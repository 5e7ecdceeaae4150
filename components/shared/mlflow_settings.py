"""Defaults for MLflow: quiet and bounded, where the user has not said otherwise.

MLflow reads its settings from the environment, some of them at import, so that this is called by
every package that uses it before any of its modules imports it.
"""

import os

from components.shared.events import RUN_ID

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


def set_mlflow_defaults() -> None:
    """Set them in this process's environment."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if RUN_ID in os.environ:  # where what it logs is made events of
        os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
