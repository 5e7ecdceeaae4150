"""A value that no model can take."""

from components.shared.errors import UserError


class BadValue(UserError):  # noqa: N818 - reads as a noun
    """A row has such a value; the message names the row by its position among those given."""

    def __init__(self, what: str, row: int, why: str) -> None:
        super().__init__(f"{what} in row {row}: {why}")
        self.row = row
        """Its position."""
        self.reason = f"{what} {why}"
        """What is wrong, without the row."""
