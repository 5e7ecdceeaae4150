"""A value that no model can take."""

from components.shared.errors import UserError


class BadValue(UserError):  # noqa: N818 - reads as a noun
    """A row has such a value; the message names the row by its position among those given."""

    def __init__(self, what: str, row: int, why: str, discreetly: str | None = None) -> None:
        """What is wrong with a value.

        Args:
            what: the column, or what its values are.
            row: position of the row.
            why: what is wrong.
            discreetly: the same without any value of the column, where ``why`` has some.
        """
        super().__init__(f"{what} in row {row}: {why}")
        self.what = what
        """The column, or what its values are."""
        self.row = row
        """Its position."""
        self.reason = f"{what} {why}"
        """What is wrong, without the row."""
        self.discreet = f"{what} {discreetly or why}"
        """What is wrong, without the row and the values of the column."""
