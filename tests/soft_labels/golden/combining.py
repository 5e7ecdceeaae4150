"""Reference values of several teachers' labels, from the papers' formulas in NumPy and SciPy.

``python tests/soft_labels/golden/combining.py`` writes ``combining.json`` beside itself. Nothing of
the project is imported, and no way of solving is shared with it: the classes' probabilities are
found by Zermelo's iteration (Hunter, "MM algorithms for generalized Bradley-Terry models", 2004) on
every class, to its fixed point p(y) = sum_k w_k q_k(y) / sum_k w_k / P_k, and where parts are free
towards each other, the shortest logits are those orthogonal to the parts.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components
from scipy.special import softmax
from scipy.stats import entropy

Array = npt.NDArray[np.float64]

CLASSES = 6
KNOWN: dict[str, list[list[int]]] = {
    "all": [[0, 1, 2, 3, 4, 5]] * 3,
    "one shared class": [[0, 1, 2], [2, 5, 4, 3]],
    "a chain": [[0, 1], [4, 1, 2], [3, 4], [2, 5]],
    "parts": [[0, 1, 2], [5, 3, 4]],
    "parts and a chain": [[5, 0], [0, 4], [1, 2, 3]],
    "one knows all": [[5, 4, 3, 2, 1, 0], [0, 1], [1, 2, 3]],
}


def unify(told: list[Array], known: list[list[int]], weights: Array) -> Array:
    """One row's probabilities."""
    p = np.full(CLASSES, 1 / CLASSES)
    for _ in range(200_000):
        above, below = np.zeros(CLASSES), np.zeros(CLASSES)
        for q, there, w in zip(told, known, weights, strict=True):
            above[there] += w * q
            below[there] += w / p[there].sum()
        before, p = p, above / below
        p /= p.sum()
        if np.abs(np.log(p / before)).max() < 1e-15:
            break
    linked = np.zeros((CLASSES, CLASSES))
    for there in known:
        linked[np.ix_(there, there)] = 1
    count, part = connected_components(linked)
    free = np.stack([part == number for number in range(count)]).astype(float)
    u = np.log(p)
    u -= free.T @ np.linalg.solve(free @ free.T, free @ u)
    return softmax(u)


def confidence(told: list[Array], known: list[list[int]], label: int, given: Array) -> Array:
    """One row's weights."""
    heard = [k for k, there in enumerate(known) if label < 0 or label in there]
    doubt = []
    for k in heard:
        loss = entropy(told[k]) if label < 0 else -np.log(told[k][known[k].index(label)])
        doubt.append(loss * np.log(CLASSES) / np.log(len(known[k])))
    found = np.zeros(len(known))
    if len(heard) == 1:
        found[heard] = 1
        return found
    exponentials = np.exp(doubt)
    found[heard] = (1 - exponentials / exponentials.sum()) / (len(heard) - 1)
    found *= given
    return found / found.sum()


def main() -> None:
    """Write the values."""
    rng = np.random.default_rng(20261128)
    cases: list[dict[str, Any]] = []
    for name, known in KNOWN.items():
        given = rng.uniform(0.2, 1, len(known))
        logits = [rng.normal(size=(5, len(there))) * 2 for there in known]
        labels = [-1, -1, 0, 3, 5]
        told = [softmax(one, 1) for one in logits]
        rows = [[q[row] for q in told] for row in range(5)]
        cases.append(
            {
                "name": name,
                "known": known,
                "logits": [one.tolist() for one in logits],
                "labels": labels,
                "given": given.tolist(),
                "mixture": [unify(row, known, given / given.sum()).tolist() for row in rows],
                "confidence": [
                    confidence(row, known, label, given).tolist()
                    for row, label in zip(rows, labels, strict=True)
                ],
            }
        )
    Path(__file__).with_suffix(".json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
