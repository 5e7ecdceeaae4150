"""How a report calls the arms, and what it says they are."""

from components.shared.results import ArmName, Evaluation

ORDER: tuple[ArmName, ...] = ("student", "teacher", "hard_label", "pseudo_label", "champion")
"""The order in which arms are listed."""

MEANINGS: dict[ArmName, str] = {
    "student": "learned from soft labels",
    "teacher": "the model that is distilled",
    "hard_label": "the student's network, labels alone",
    "pseudo_label": "the student's network, the teacher's plain predictions",
    "champion": "what the registry serves now",
}


def arm_titles(evaluation: Evaluation) -> dict[ArmName, str]:
    """The title of every arm that was measured, in the order of :data:`ORDER`; a teacher that was
    not run here is among them."""
    titles: dict[ArmName, str] = {
        "student": "Student",
        "teacher": "Teacher",
        "hard_label": "Hard labels",
        "pseudo_label": "Pseudo-labels",
        "champion": f"Champion v{evaluation.champion_version}",
    }
    served: set[ArmName] = {"teacher"} if evaluation.served_teacher else set()
    return {name: titles[name] for name in ORDER if name in evaluation.arms or name in served}
