"""What libraries raise on a model that they cannot convert."""

from collections.abc import Iterator
from contextlib import contextmanager

from components.compression.deploying import FormNotMade


@contextmanager
def converting(what: str) -> Iterator[None]:
    """Turn any error of a converter into :class:`FormNotMade`: one form less is not an outage.

    Args:
        what: the conversion, as a noun.
    """
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = f": {lines[0]}" if lines else ""
        raise FormNotMade(f"{what} failed with {type(error).__name__}{reason}") from error
