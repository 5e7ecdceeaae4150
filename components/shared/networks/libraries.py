"""What models of the libraries transformers and timm have in common."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from components.shared.errors import UserError
from components.shared.recipe.library_models import LibraryModelSpec

_OFFLINE = "HF_HUB_OFFLINE"


def stay_offline() -> bool:
    """Whether nothing may be downloaded, as it is unless the environment says 0; to be asked before
    a library is imported, which reads that once."""
    return os.environ.setdefault(_OFFLINE, "1") != "0"


@contextmanager
def of_library(library: str, spec: LibraryModelSpec) -> Iterator[None]:
    """Say in a line that a library has no such model, whichever error it raises within the block.

    Raises:
        UserError: in place of any error.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"model: {library} has no {spec.place} that can be used here "
            f"({type(error).__name__}: {reason[:300]})"
        ) from error
