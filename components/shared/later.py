"""Fields that records and recipes of earlier versions do not have."""

from typing import TypeVar

from pydantic import Field

T = TypeVar("T")


def later(default: T) -> T:
    """A field that is left out where it is what it would be without, so that digests of what was
    written before it came are still the same.

    Args:
        default: what it means that it is not there.
    """
    field: T = Field(default=default, exclude_if=lambda value: value == default)
    return field
