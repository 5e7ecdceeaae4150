"""How a container ended, from the events of the Docker engine; and what to say of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_AGAIN = "run it again: labelling and training go on where they were"
_KILLED = 137
_NO_PROGRAM = (126, 127)


@dataclass(frozen=True)
class Ending:
    """The end of a container's first process."""

    status: int
    signals: tuple[int, ...] = ()
    """That the engine was asked to send before."""
    out_of_memory: bool = False
    """Whether it reached a limit of memory that the engine knows of."""


def ending_of(events: Iterable[Mapping[str, Any]]) -> Ending | None:
    """The ending, as soon as it is among the events; null where they end before.

    Args:
        events: of one container, in their order.
    """
    signals: list[int] = []
    out_of_memory = False
    for event in events:
        attributes = event["Actor"]["Attributes"]
        match event["Action"]:
            case "kill":
                signals.append(int(attributes["signal"]))
            case "oom":
                out_of_memory = True
            case "die":
                return Ending(int(attributes["exitCode"]), tuple(signals), out_of_memory)
    return None


def problem(ending: Ending | None, finished: bool, image: str) -> str | None:
    """Why a step is not done; null where it is.

    Args:
        ending: null where the engine did not tell.
        finished: whether the step said that it is.
        image: that it ran in.
    """
    if ending is None:
        return f"the Docker engine does not tell how its container ended; {_AGAIN}"
    if ending.status == 0 and finished:
        return None
    if ending.status == 0:
        return f"its container ended without having run it; is {image} the image of this step?"
    return _failure(ending, image)


def _failure(ending: Ending, image: str) -> str:
    if ending.out_of_memory:
        return f"its container ran out of memory; give the engine's containers more, and {_AGAIN}"
    if ending.signals:
        sent = ", ".join(map(str, ending.signals))
        return f"its container was stopped from outside (signal {sent}); {_AGAIN}"
    if ending.status == _KILLED:
        return (
            "its container was killed by the system (signal 9), most likely for want of memory; "
            f"free some, and {_AGAIN}"
        )
    if ending.status in _NO_PROGRAM:
        return f"there is no python3 in {image}; is it the image of this step?"
    return f"it ended with status {ending.status} in {image}, and its log has the error"
