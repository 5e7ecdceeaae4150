"""The container image of each step, built from the Dockerfile of its folder.

On a cluster a step runs in its image; on one machine the same name selects the warm interpreter
that has the image's libraries loaded. These are names by tag; a file given as ``--images`` pins
them by digest.
"""

from typing import Final

_PREFIX: Final = "ghcr.io/kubedistill"
_TAG: Final = "0.1.0"
"""The version in pyproject.toml, which a release's images are pushed under."""

DATA_VALIDATION: Final = f"{_PREFIX}/data-validation:{_TAG}"
SOFT_LABELS: Final = f"{_PREFIX}/soft-labels:{_TAG}"
SOFT_LABELS_MLFLOW: Final = f"{_PREFIX}/soft-labels-mlflow:{_TAG}"
"""With MLflow beside, for teachers that are models of its registry."""
TRAINING: Final = f"{_PREFIX}/training:{_TAG}"
COMPRESSION: Final = f"{_PREFIX}/compression:{_TAG}"
EVALUATION: Final = f"{_PREFIX}/evaluation:{_TAG}"
REGISTRATION: Final = f"{_PREFIX}/registration:{_TAG}"
CLI: Final = f"{_PREFIX}/cli:{_TAG}"
"""``kubedistill`` itself, for jobs in the cluster that submit and promote."""
