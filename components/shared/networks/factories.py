"""Networks that a function of the user's makes, from modules that the environment allows."""

import importlib
from typing import Any

from torch import nn

from components.shared.errors import UserError
from components.shared.recipe.inputs import InputSpec, TextInput
from components.shared.recipe.outside_models import FactorySpec, check_allowed


def made_by_factory(
    spec: FactorySpec, shape: tuple[int, ...], classes: int, input_spec: InputSpec
) -> nn.Module:
    """Call the function.

    Args:
        spec: which one, and with which arguments of its own.
        shape: of one prepared row.
        classes: how many there are.
        input_spec: what a row is.

    Raises:
        UserError: its module is not allowed or not there, or what it gives is no network.
    """
    check_allowed(spec.module, spec.factory)
    function = _function(spec)
    arguments: dict[str, Any] = {"input_shape": shape, "classes": classes}
    if isinstance(input_spec, TextInput):
        arguments["vocabulary"] = input_spec.tokenizer.vocabulary
    try:
        made = function(**arguments, **spec.arguments)
    except Exception as error:
        raise UserError(
            f"model.factory: {spec.factory}({', '.join([*arguments, *spec.arguments])}) failed "
            f"with {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, nn.Module):
        raise UserError(
            f"model.factory: {spec.factory} gives a {type(made).__name__}, not a torch.nn.Module"
        )
    return made


def _function(spec: FactorySpec) -> Any:
    try:
        module = importlib.import_module(spec.module)
    except Exception as error:
        raise UserError(
            f"model.factory: the module {spec.module} cannot be imported "
            f"({type(error).__name__}: {error}); it has to be installed, or on PYTHONPATH, where "
            "the steps run"
        ) from error
    function = getattr(module, spec.function, None)
    if not callable(function):
        raise UserError(f"model.factory: {spec.module} has no function {spec.function}")
    # A module that is allowed may have imported what is not.
    check_allowed(str(getattr(function, "__module__", None)), spec.factory)
    return function
