"""Reference values of objectives for which several networks learn, or one's exits, from the papers'
formulas in NumPy, float64.

``python tests/shared/training/golden/online.py`` writes ``online.json`` beside itself. Nothing of
the project is imported, and there are loops over rows and classes where ours has none. Gradients
are central differences by the logits of one network, with those of all others held still.
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_STEP = 1e-5


def probabilities(row: Array, temperature: float) -> list[float]:
    powers = [math.exp(logit / temperature) for logit in row]
    return [power / sum(powers) for power in powers]


def divergence(other: Array, own: Array, temperature: float) -> float:
    """Mean over the rows of T² · KL(other ‖ own)."""
    total = 0.0
    for theirs, mine in zip(other, own, strict=True):
        p, q = probabilities(theirs, temperature), probabilities(mine, temperature)
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(own)


def cross_entropy(logits: Array, labels: Sequence[int]) -> float:
    """Of the rows that have a label, divided by the number of all."""
    found = [
        -math.log(probabilities(row, 1)[label])
        for row, label in zip(logits, labels, strict=True)
        if label >= 0
    ]
    return sum(found) / len(labels)


def mutual(networks: Sequence[Array], labels: Sequence[int], temperature: float) -> list[float]:
    """What each network minimises; the first is the student, whose labels count elsewhere."""
    losses = []
    for number, own in enumerate(networks):
        others = [one for other, one in enumerate(networks) if other != number]
        mean = sum(divergence(other, own, temperature) for other in others) / len(others)
        losses.append(mean + (cross_entropy(own, labels) if number else 0.0))
    return losses


def online_teacher(
    networks: Sequence[Array], labels: Sequence[int], temperature: float
) -> list[float]:
    """What student and teacher minimise."""
    student, teacher = networks
    return [divergence(teacher, student, temperature), cross_entropy(teacher, labels)]


def deeper_exit(
    networks: Sequence[Array], labels: Sequence[int], temperature: float
) -> list[float]:
    """What the deepest exit and the others minimise, at alpha .3."""
    deepest, *exits = networks
    return [
        0.0,
        *(
            0.7 * cross_entropy(own, labels) + 0.3 * divergence(deepest, own, temperature)
            for own in exits
        ),
    ]


FORMULAS: dict[str, Callable[..., list[float]]] = {
    "mutual": mutual,
    "online_teacher": online_teacher,
    "deeper_exit": deeper_exit,
}
SHAPES = (
    ("mutual", 2, 1.0),
    ("mutual", 3, 1.0),
    ("mutual", 4, 2.5),
    ("online_teacher", 2, 1.0),
    ("online_teacher", 2, 4.0),
    ("deeper_exit", 2, 1.0),
    ("deeper_exit", 3, 3.0),
)
"""Networks and temperatures of the cases."""


def gradients(
    name: str, networks: Sequence[Array], labels: Sequence[int], temperature: float
) -> list[Any]:
    """Of what each network minimises, by its own logits."""
    slopes = []
    for number, own in enumerate(networks):
        slope = np.zeros_like(own)
        for place in np.ndindex(own.shape):
            ends = []
            for step in (_STEP, -_STEP):
                moved = [one.copy() for one in networks]
                moved[number][place] += step
                ends.append(FORMULAS[name](moved, labels, temperature)[number])
            slope[place] = (ends[0] - ends[1]) / (2 * _STEP)
        slopes.append(slope.round(9).tolist())
    return slopes


def golden() -> dict[str, Any]:
    """Logits of several networks, and what each of them minimises."""
    random = np.random.default_rng(20170601)
    cases = []
    for name, count, temperature in SHAPES:
        networks = [(random.normal(size=(5, 4)) * 2).round(3) for _ in range(count)]
        labels = [2, -1, 0, 3, -1]
        cases.append(
            {
                "name": name,
                "temperature": temperature,
                "labels": labels,
                "networks": [one.tolist() for one in networks],
                "losses": FORMULAS[name](networks, labels, temperature),
                "gradients": gradients(name, networks, labels, temperature),
            }
        )
    return {"cases": cases}


if __name__ == "__main__":
    written = json.dumps(golden()).replace('{"name"', '\n{"name"')  # a case a line
    Path(__file__).with_suffix(".json").write_text(written + "\n")
