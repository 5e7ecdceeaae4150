"""Where the command line prints: people read standard error, scripts standard output."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console(stderr=True, highlight=False)


def say(text: str, style: str | None = None) -> None:
    """Print text as it is, on one line however long it is: it has no markup, and may be a path."""
    console.print(text, style=style, markup=False, soft_wrap=True)


def plain_table(*headings: str) -> Table:
    """A table without lines; what is too long for its column goes on below."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def print_json(value: Any) -> None:
    """Print a JSON value on standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def choose_tracking_uri(given: str | None) -> None:
    """Set ``MLFLOW_TRACKING_URI`` for this process and its steps.

    It is what the option says, what it is already, or the embedded store in this folder, which is
    made with the first run.
    """
    if given:
        os.environ["MLFLOW_TRACKING_URI"] = given
    elif not os.environ.get("MLFLOW_TRACKING_URI"):
        database = Path(".kubedistill", "mlflow.db").resolve()
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{database}"
