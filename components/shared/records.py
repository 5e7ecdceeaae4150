"""Reading what a step wrote down as JSON, with its format version."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from components.shared.errors import UserError
from components.shared.files import read_json

RecordT = TypeVar("RecordT", bound=BaseModel)


def read_record(path: Path, model: type[RecordT], version: int, what: str) -> RecordT:
    """Read a JSON file as ``model``.

    Args:
        path: the file.
        model: what it holds.
        version: the ``format_version`` that this code reads.
        what: what the file is called in an error.

    Raises:
        UserError: it is of another version, or not valid.
    """
    try:
        value = read_json(path)
        found = value.get("format_version") if isinstance(value, dict) else None
        if found != version:
            raise UserError(f"{path}: format_version is {found}, expected {version}")
        return model.model_validate(value)
    except ValueError as error:  # pydantic's errors are of this kind too
        raise UserError(f"{path}: not a valid {what}: {error}") from error
