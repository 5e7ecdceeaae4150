"""Record every run in MLflow, and move the champion alias when a student has earned it.

MLflow reads its settings from the environment, some of them at import, so that the defaults are
set here, before any module of this package imports it.
"""

import os

_MLFLOW_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


def set_mlflow_defaults() -> None:
    """Quiet and bounded, where the user has not said otherwise."""
    for name, value in _MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)


set_mlflow_defaults()
