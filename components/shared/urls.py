"""URLs that options, recipes and the environment hold."""

from urllib.parse import SplitResult, urlsplit

from components.shared.errors import UserError

A_TRACKING_URI = "a URI; it should be one such as http://mlflow:5000 or sqlite:///mlflow.db"
"""What MLflow takes, for :func:`split`."""


def split(
    url: str, what: str, expected: str = "a URL; it should be one such as https://HOST"
) -> SplitResult:
    """The parts of a URL, which is not repeated in the error: it may hold a password.

    Args:
        url: as it was given.
        what: names it in the error.
        expected: what it should be, as the error says it.

    Raises:
        UserError: it is none.
    """
    try:
        return urlsplit(url)
    except ValueError:
        raise UserError(f"{what} is not {expected}") from None
