"""What is to be run, and the key by which the same thing is recognised when asked for again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.shared import urls
from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.recipe import Recipe

_KEY_LENGTH = 10


@dataclass(frozen=True)
class Order:
    """A compiled recipe, and how Kubeflow is to run it."""

    recipe: Recipe
    compiled: str
    """YAML of its pipeline."""
    experiment: str
    service_account: str | None
    git_commit: str
    """Empty where it is not known."""
    tracking_uri: str = ""
    """MLflow of the steps; empty for the one that their environment names."""
    pipeline_root: str | None = None
    """Where artifacts are kept; null for where the installation keeps them."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """What else tells one order from another, such as its name or its times."""

    @property
    def parameters(self) -> dict[str, str]:
        """Of the pipeline; what is left out has the recipe's value."""
        given = {"tracking_uri": self.tracking_uri, "git_commit": self.git_commit}
        return {name: value for name, value in given.items() if value}

    @property
    def key(self) -> str:
        """Ten hexadecimal digits; the same for what would do the same."""
        content = {
            "compiled": sha256_bytes(self.compiled.encode()),
            "experiment": self.experiment,
            "service_account": self.service_account,
            "pipeline_root": self.pipeline_root,
            "parameters": self.parameters,
            "marks": dict(self.marks),
        }
        return sha256_bytes(json.dumps(content, sort_keys=True).encode())[:_KEY_LENGTH]


def checked_tracking_uri(given: str | None) -> str:
    """An MLflow that steps in a cluster can use, and whose URI may be kept and shown.

    Raises:
        UserError: it is no URL, there are credentials in it, or it is a file of this machine.
    """
    if not given:
        return ""
    parts = urls.split(given, "--tracking-uri")
    if "@" in parts.netloc:
        raise UserError(
            "--tracking-uri holds a user or password, but parameters of a run are kept and shown; "
            "give its steps MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD by a secret"
        )
    if parts.scheme not in {"http", "https"}:
        raise UserError(
            f"--tracking-uri {given}: the steps run in pods, and need an MLflow server "
            "(http:// or https://)"
        )
    return given
