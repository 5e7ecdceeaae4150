"""The container image of each step.

On a cluster a step runs in its image; on one machine the same name selects the warm interpreter
that has the image's libraries loaded.
"""

from typing import Final

_PREFIX: Final = "ghcr.io/kubedistill/python"
_TAG: Final = "0.1.0"

DATA: Final = f"{_PREFIX}-data:{_TAG}"
TORCH: Final = f"{_PREFIX}-torch:{_TAG}"
EVALUATION: Final = f"{_PREFIX}-evaluation:{_TAG}"
REGISTRATION: Final = f"{_PREFIX}-registration:{_TAG}"
