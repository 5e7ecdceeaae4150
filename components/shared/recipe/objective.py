"""What all objectives of distillation have in common in a recipe."""

from components.shared.recipe.base import Spec
from components.shared.recipe.schedules import Scheduled


class Objective(Spec):
    """Something that a student minimises beside the cross-entropy with the labels."""

    weight: Scheduled = 1.0
    """Factor of this objective beside the others of the method."""

    @property
    def follows_temperature(self) -> bool:
        """Whether it is computed at ``distillation.temperature``."""
        return False

    @property
    def takes_every_logit(self) -> bool:
        """Whether it needs the teacher's logits of all classes as they are."""
        return False

    @property
    def degenerates_on_two_classes(self) -> bool:
        """Whether two classes leave it nothing to learn but which of them is the larger."""
        return False

    @property
    def runs_teacher(self) -> bool:
        """Whether the teacher itself is run in every step of the training."""
        return False

    @property
    def looks_inside(self) -> bool:
        """Whether it looks at hidden layers."""
        return False

    @property
    def teaches_classes(self) -> bool:
        """Whether a student that minimises nothing else learns to tell classes."""
        return True


class InsideObjective(Objective):
    """What looks at hidden layers, so that what comes after them learns nothing of it."""

    @property
    def looks_inside(self) -> bool:
        """At the layers that it names."""
        return True

    @property
    def teaches_classes(self) -> bool:
        """The last layer is after them."""
        return False
