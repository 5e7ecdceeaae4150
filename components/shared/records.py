"""Reading what a step wrote down as JSON."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from components.shared.errors import UserError
from components.shared.files import read_json

RecordT = TypeVar("RecordT", bound=BaseModel)


def read_record(path: Path, model: type[RecordT], what: str) -> RecordT:
    """Read a JSON file as ``model``, of the format version that the model has, if it has one.

    Args:
        path: the file.
        model: what it holds.
        what: what the file is called in an error.

    Raises:
        UserError: it cannot be read, is of another version, or not valid.
    """
    try:
        value = read_json(path)
        version = model.model_fields.get("format_version")
        found = value.get("format_version") if isinstance(value, dict) else None
        if version is not None and found != version.default:
            raise UserError(f"{path}: format_version is {found}, expected {version.default}")
        return model.model_validate(value)
    except OSError as error:
        raise UserError(f"{path}: the {what} cannot be read ({error.strerror})") from error
    except ValueError as error:  # pydantic's errors are of this kind too
        raise UserError(f"{path}: not a valid {what}: {error}") from error
