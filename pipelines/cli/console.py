"""Where the command line prints: people read standard error, scripts standard output."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

console = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print a JSON value on standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def resolve_tracking_uri(given: str | None) -> str:
    """The MLflow store to use: the option, the environment, or the embedded SQLite store."""
    uri = given or os.environ.get("MLFLOW_TRACKING_URI")
    if uri:
        return uri
    return f"sqlite:///{Path('.kubedistill').resolve() / 'mlflow.db'}"
