"""Small records that are kept with their hash, so that a damaged one counts as absent."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from components.shared.files import sha256_bytes, write_atomically

RecordT = TypeVar("RecordT", bound=BaseModel)


def write_sealed(path: Path, record: BaseModel) -> None:
    """Write a record with its hash before it."""
    text = record.model_dump_json()
    write_atomically(path, f"{sha256_bytes(text.encode())}\n{text}")


def read_sealed(path: Path, model: type[RecordT]) -> RecordT | None:
    """The record, or ``None`` where there is none, it is damaged, or of another version."""
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
        return model.model_validate_json(text) if digest.decode() == sha256_bytes(text) else None
    except (FileNotFoundError, ValueError):
        return None
