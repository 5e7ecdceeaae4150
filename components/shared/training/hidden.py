"""What modules inside a network take and put out, captured in a forward pass."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from components.shared.errors import UserError

_SHOWN = 40
"""Paths that a message lists, at most."""


class Tap(NamedTuple):
    """Where a network is looked into."""

    path: str
    """Of a module, as ``named_modules()`` calls it."""
    side: Literal["output", "input"] = "output"


class Probe:
    """Looks into a network: keeps what its modules took or put out in the last forward pass.

    Layers that a forward pass uses several times are kept as they were the last time; of several
    outputs the first one is. Nothing is kept from step to step: :meth:`taken` forgets.
    """

    def __init__(self) -> None:
        self._seen: dict[Tap, Tensor] = {}

    @contextmanager
    def into(self, network: nn.Module, taps: Iterable[Tap]) -> Iterator[None]:
        """Look into a network within the block.

        Args:
            network: has all the paths.
            taps: where to look.
        """
        handles = [
            network.get_submodule(tap.path).register_forward_hook(_keeper(tap, self._seen))
            for tap in dict.fromkeys(taps)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._seen.clear()

    def taken(self) -> dict[Tap, Tensor]:
        """What was seen in the last pass, which the probe forgets."""
        seen = dict(self._seen)
        self._seen.clear()
        return seen


def _keeper(tap: Tap, seen: dict[Tap, Tensor]) -> Any:
    def keep(_module: nn.Module, inputs: Any, output: Any) -> None:
        value = inputs if tap.side == "input" else output
        seen[tap] = value[0] if isinstance(value, tuple) else value

    return keep


def check_path(network: nn.Module, path: str, field: str, role: str) -> None:
    """Refuse a path that names no module.

    Args:
        network: should have it.
        path: of a module.
        field: of the recipe, for the message.
        role: whose network it is.

    Raises:
        UserError: it has none; the message has the paths that are near, or all.
    """
    paths = [name for name, _ in network.named_modules() if name]
    if path in paths:
        return
    near = difflib.get_close_matches(path, paths, n=3, cutoff=0.6)
    more = ", …" if len(paths) > _SHOWN else ""
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"there are {', '.join(paths[:_SHOWN])}{more}"
    )
    raise UserError(f"{field}: the {role} has no layer {path!r}; {hint}")


def last_linear(network: nn.Module, classes: int) -> str | None:
    """Path of the last fully connected layer that puts out one number a class, if there is one."""
    found = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == classes
    ]
    return found[-1] if found else None
