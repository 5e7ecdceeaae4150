"""Which classes two models predict more or less often, and where they say different ones: pure."""

from components.evaluation.bounds import mcnemar
from components.evaluation.comparing.tallies import ComparisonTally
from components.evaluation.measuring.ranking import Counts
from components.shared.results import ClassShift, Disagreement, PairedCounts

MOST_DISAGREEMENTS = 20


def class_shifts(confusion: Counts, classes: list[str], confidence: float) -> list[ClassShift]:
    """How often each model predicts each class, and whether that differs beyond chance.

    The level is divided by the number of classes, since all of them are looked at (Bonferroni).

    Args:
        confusion: rows by the champion's class (first index) and the challenger's.
        classes: their names.
        confidence: level of all tests together.
    """
    limit = (1 - confidence) / len(classes)
    rows, shifts = int(confusion.sum()), []
    for index, name in enumerate(classes):
        both = int(confusion[index, index])
        champion, challenger = int(confusion[index].sum()), int(confusion[:, index].sum())
        p_value = mcnemar(
            PairedCounts(
                both=both,
                only_student=challenger - both,
                only_other=champion - both,
                neither=rows - champion - challenger + both,
            )
        )
        shifts.append(
            ClassShift(
                name=name,
                champion=champion,
                challenger=challenger,
                p_value=p_value,
                beyond_chance=p_value < limit,
            )
        )
    return shifts


def disagreements(
    tally: ComparisonTally, confusion: Counts, classes: list[str]
) -> list[Disagreement]:
    """The pairs of different classes with the most rows, and who is right in them.

    Args:
        tally: of all rows.
        confusion: rows by the champion's class (first index) and the challenger's.
        classes: their names.
    """
    apart = confusion.copy()
    apart[range(len(classes)), range(len(classes))] = 0
    largest = (-apart).ravel().argsort(kind="stable")[:MOST_DISAGREEMENTS].tolist()
    cells = [divmod(place, len(classes)) for place in largest]
    return [
        Disagreement(
            champion=classes[champion],
            challenger=classes[challenger],
            rows=int(apart[champion, challenger]),
            labelled=tally.labelled[champion, challenger],
            champion_right=tally.champion_right[champion, challenger],
            challenger_right=tally.challenger_right[champion, challenger],
        )
        for champion, challenger in cells
        if apart[champion, challenger]
    ]
