"""Image references: the file given as ``--images``, which says what stands for our images.

A build writes it: JSON such as ``{"training": "registry.example/training@sha256:…"}``, with the
last part of each name in :mod:`components.shared.images` as keys.
"""

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.shared import images
from components.shared.errors import UserError

_REFERENCE = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]*(@sha256:[0-9a-f]{64})?")
_BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


def load(path: Path, *, by_digest: bool = True) -> dict[str, str]:
    """Read and check a file with references.

    Args:
        path: the file.
        by_digest: refuse references by tag. A cluster needs digests: KFP's cache goes by the text
            of the reference, so that a tag that has moved would still find the old image's results.

    Returns:
        Reference by the last part of our name.

    Raises:
        UserError: the file cannot be read, names an image that is not ours, or a reference is none,
            or is by tag where it may not be.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"images {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"images {path}: not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise UserError(
            f'images {path}: should be JSON such as {{"training": "registry/training@sha256:…"}}'
        )
    for key, reference in document.items():
        fault = _fault(key, reference, by_digest)
        if fault:
            raise UserError(f"images {path}: {key}: {fault}")
    return document


def pin(image: str, references: Mapping[str, str]) -> str:
    """The reference that stands for one of our images.

    Raises:
        UserError: there is none.
    """
    name = name_of(image)
    if name not in references:
        raise UserError(f"images: {name} is missing, and the pipeline has a step that runs in it")
    return references[name]


def name_of(image: str) -> str:
    """The last part of an image's name, without tag."""
    return image.rpartition("/")[2].partition(":")[0]


NAMES = tuple(
    name_of(image)
    for image in (
        images.DATA_VALIDATION,
        images.SOFT_LABELS,
        images.SOFT_LABELS_MLFLOW,
        images.TRAINING,
        images.COMPRESSION,
        images.EVALUATION,
        images.REGISTRATION,
        images.CLI,
    )
)
"""What a file with references may name."""


def _fault(key: str, reference: Any, by_digest: bool) -> str:
    if key not in NAMES:
        near = difflib.get_close_matches(key, NAMES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"it may be one of {', '.join(NAMES)}"
        return f"not an image of ours; {hint}"
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        return f"should be a reference such as registry/{key}@sha256:…, not {reference!r}"
    if by_digest and not _BY_DIGEST.fullmatch(reference):
        return (
            f"{reference} is a tag, which may move, so that Kubeflow's cache would answer for "
            "another image; give its digest: NAME@sha256:…"
        )
    return ""
