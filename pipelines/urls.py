"""URLs that options and the environment hold."""

from urllib.parse import SplitResult, urlsplit

from components.shared.errors import UserError


def split(url: str, what: str) -> SplitResult:
    """The parts of a URL, which is not repeated in the error: it may hold a password.

    Args:
        url: as it was given.
        what: names it in the error.

    Raises:
        UserError: it is none.
    """
    try:
        return urlsplit(url)
    except ValueError:
        raise UserError(f"{what} is not a URL; it should be one such as https://HOST") from None
