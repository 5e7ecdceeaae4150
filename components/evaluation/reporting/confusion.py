"""Which classes a model confuses: a heat table for few classes, the worst pairs for many."""

from dataclasses import dataclass

from components.shared.results import ArmResult, ClassResult

MOST_CLASSES = 25
"""Up to so many classes, the whole matrix is shown."""


@dataclass(frozen=True)
class Cell:
    """Rows of one true class that were given one predicted class."""

    rows: int
    share: float
    """Of the rows of the true class, 0 to 1."""
    correct: bool

    @property
    def heat(self) -> int:
        """Strength of the cell's colour in percent; rare errors are lifted, to be seen at all."""
        if self.rows == 0:
            return 0
        return round(88 * self.share) if self.correct else round(14 + 74 * self.share**0.5)


@dataclass(frozen=True)
class MatrixRow:
    """One true class."""

    name: str
    rows: int
    cells: list[Cell]


@dataclass(frozen=True)
class Confused:
    """One class taken for another."""

    true: str
    predicted: str
    rows: int
    share: float


def matrix(confusion: list[list[int]], classes: list[str]) -> list[MatrixRow]:
    """The confusion matrix, one row a true class.

    Args:
        confusion: rows by true class (first index) and predicted class.
        classes: their names.
    """
    return [
        MatrixRow(
            name,
            sum(counts),
            [
                Cell(count, count / max(sum(counts), 1), column == row)
                for column, count in enumerate(counts)
            ],
        )
        for row, (name, counts) in enumerate(zip(classes, confusion, strict=True))
    ]


def most_confused(result: ArmResult, classes: list[str], most: int = 20) -> list[Confused]:
    """The pairs with the most mistaken rows, the worst first."""
    pairs = [
        Confused(line.name, classes[column], cell.rows, cell.share)
        for line in matrix(result.confusion, classes)
        for column, cell in enumerate(line.cells)
        if cell.rows and not cell.correct
    ]
    return sorted(pairs, key=lambda pair: (-pair.rows, -pair.share))[:most]


def worst_first(result: ArmResult) -> list[ClassResult]:
    """Classes by rising F1; those without one first."""
    return sorted(result.per_class, key=lambda item: -1.0 if item.f1 is None else item.f1)
