"""Whether the networks of a recipe have the layers that its methods look at, before it runs."""

from importlib.util import find_spec

from components.shared.recipe import FileTokenizer, InputSpec, Recipe, TabularInput, TextInput
from components.shared.recipe.student import learnings

_CLASSES = 2
"""Layers are the same for any number of them."""


def check_layers(recipe: Recipe, given: InputSpec | None = None) -> None:
    """Build the networks, and look; where torch is not installed, the training step does.

    Args:
        recipe: nothing is built where none of its methods looks inside a network.
        given: what its networks take, once the data are resolved; without, tables with categories
            and tokenizers from files are left to the training step, since their sizes are in the
            data.

    Raises:
        UserError: a layer is not there, or cannot be compared.
    """
    given = given or _known(recipe.data.input)
    methods = [one.objectives for one in learnings(recipe.student, recipe.distillation)]
    looks = any(one.looks_inside for objectives in methods for one in objectives)
    if given is None or not looks or find_spec("torch") is None:
        return
    from components.training.online import check_layers_of

    check_layers_of(recipe, given, _CLASSES)


def _known(spec: InputSpec) -> InputSpec | None:
    """What is written in a recipe, where all sizes are in it."""
    match spec:
        case TabularInput() if not spec.plain:
            return None
        case TextInput(tokenizer=FileTokenizer()):
            return None
        case _:
            return spec
