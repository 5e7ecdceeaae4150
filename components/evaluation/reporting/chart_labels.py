"""Placing labels in a chart so that they cover neither each other nor what is drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from operator import itemgetter

_STEP = 8
"""Distance between the places that are tried."""
_REACH = 190
"""How far from its point a label may go, from its near edge."""
_COVERS = 1000.0
_CROSSES = 45.0
_CROSSES_LABEL = 120.0
_TOO_CLOSE = 60.0
_WRONG_SIDE = 6.0
_CLEARANCE = 12.0


@dataclass(frozen=True)
class Box:
    """A rectangle, with its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "Box", margin: float = 2.0) -> bool:
        """Whether the two share area, or come closer than ``margin``."""
        return (
            self.x < other.x + other.width + margin
            and other.x < self.x + self.width + margin
            and self.y < other.y + other.height + margin
            and other.y < self.y + self.height + margin
        )

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The point of the rectangle closest to (x, y)."""
        return (
            min(max(x, self.x), self.x + self.width),
            min(max(y, self.y), self.y + self.height),
        )


@dataclass(frozen=True)
class Request:
    """A label that belongs to a point."""

    x: float
    y: float
    width: float
    height: float

    @property
    def point(self) -> tuple[float, float]:
        """What the label is for."""
        return self.x, self.y


def place(requests: Sequence[Request], drawn: Sequence[Box], area: Box) -> list[Box]:
    """Choose a box for each label, first come first served.

    Args:
        requests: the labels, the most important first.
        drawn: what labels must not cover, and leader lines should not cross.
        area: what labels must stay in.

    Returns:
        One box a request, in their order; the least bad one where there is no free place.
    """
    placed: list[Box] = []
    leaders: list[Box] = []
    for index, request in enumerate(requests):
        later = [Box(r.x - 8, r.y - 8, 16, 16) for r in requests[index + 1 :]]
        best = _best(request, area, [*drawn, *later], placed, leaders)
        placed.append(best)
        leaders.extend(_along(request, best))
    return placed


def spread(positions: Sequence[float], apart: float) -> list[float]:
    """Move positions until none is closer than ``apart`` to another, their order kept."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    groups = [[index] for index in order]

    def centre(group: list[int]) -> float:
        return sum(positions[index] for index in group) / len(group)

    def crowded(left: list[int], right: list[int]) -> bool:
        room = apart * (len(left) + len(right)) / 2
        return centre(right) - centre(left) < room - 1e-9

    while clash := [k for k, (a, b) in enumerate(pairwise(groups)) if crowded(a, b)]:
        first = clash[0]
        groups[first : first + 2] = [groups[first] + groups[first + 1]]
    moved = list(positions)
    for group in groups:
        for place_in_group, index in enumerate(group):
            moved[index] = centre(group) + apart * (place_in_group - (len(group) - 1) / 2)
    return moved


def _best(
    request: Request,
    area: Box,
    drawn: Sequence[Box],
    placed: Sequence[Box],
    leaders: Sequence[Box],
) -> Box:
    """The cheapest box; no box costs less than its distance, so the near ones are tried first."""
    best, least = area, math.inf
    for distance, box in sorted(_candidates(request, area), key=itemgetter(0)):
        if distance >= least:
            break
        cost = _cost(request, box, distance, drawn, placed, leaders)
        if cost < least:
            best, least = box, cost
    return best


def _candidates(request: Request, area: Box) -> list[tuple[float, Box]]:
    """Boxes around the point, each with its distance."""
    right, bottom = area.x + area.width - request.width, area.y + area.height - request.height
    columns = range(-_REACH - int(request.width), _REACH + 1, _STEP)
    rows = range(-_REACH - int(request.height), _REACH + 1, _STEP)
    boxes = [
        Box(
            min(max(request.x + dx, area.x), right),
            min(max(request.y + dy, area.y), bottom),
            request.width,
            request.height,
        )
        for dx, dy in product(columns, rows)
    ]
    return [(math.dist(box.nearest(request.x, request.y), request.point), box) for box in boxes]


def _cost(
    request: Request,
    box: Box,
    distance: float,
    drawn: Sequence[Box],
    placed: Sequence[Box],
    leaders: Sequence[Box],
) -> float:
    cost = distance + (_TOO_CLOSE if distance < _CLEARANCE else 0.0)
    cost += _WRONG_SIDE if box.x + box.width < request.x else 0.0
    cost += _COVERS * sum(box.overlaps(other) for other in (*drawn, *placed, *leaders))
    if cost >= _COVERS:
        return cost
    crossings = _along(request, box)

    def crossed(boxes: Sequence[Box]) -> int:
        return sum(any(piece.overlaps(box, 0.0) for piece in crossings) for box in boxes)

    return cost + _CROSSES * crossed(drawn) + _CROSSES_LABEL * crossed(placed)


def _along(request: Request, box: Box) -> list[Box]:
    """Small boxes along the leader line, without its first bit, which is on the point itself."""
    end_x, end_y = box.nearest(request.x, request.y)
    delta_x, delta_y = end_x - request.x, end_y - request.y
    length = math.hypot(delta_x, delta_y)
    return [
        Box(request.x + delta_x * at / length - 1, request.y + delta_y * at / length - 1, 2, 2)
        for at in range(12, int(length), 6)
    ]
