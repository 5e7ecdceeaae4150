"""Record every run in MLflow, and move the champion alias when a student has earned it.

MLflow reads its settings from the environment, some of them at import, so that the defaults are
set here, before any module of this package imports it. Whatever the user has set stays.
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

for _name, _value in _MLFLOW_DEFAULTS.items():
    os.environ.setdefault(_name, _value)
