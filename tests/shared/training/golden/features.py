"""Reference values of the objectives on hidden layers, from the papers' formulas in NumPy, float64.

``python tests/shared/training/golden/features.py`` writes ``features.json`` beside itself. Nothing
of the project is imported. The formulas follow the authors' own code
(szagoruyko/attention-transfer, lenscloth/RKD, HobbitLong/RepDistiller for SP and CRD,
google-research/representation_similarity for CKA), written with loops over rows where ours has
none. CRD leaves out the 1e-7 that its authors add to denominators. Gradients are central
differences.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_STEP = 1e-5


def fitnet(student: Array, teacher: Array) -> float:
    return float(np.mean([np.square(s - t).mean() for s, t in zip(student, teacher, strict=True)]))


def cosine(student: Array, teacher: Array) -> float:
    found = [
        1 - s @ t / (np.linalg.norm(s) * np.linalg.norm(t))
        for s, t in zip(
            np.moveaxis(student, 1, -1).reshape(-1, student.shape[1]),
            np.moveaxis(teacher, 1, -1).reshape(-1, teacher.shape[1]),
            strict=True,
        )
    ]
    return float(np.mean(found))


def pooled(layer: Array, height: int, width: int) -> Array:
    """torch's adaptive_avg_pool2d, cell by cell."""
    result = np.zeros((*layer.shape[:2], height, width))
    for y in range(height):
        for x in range(width):
            top, bottom = y * layer.shape[2] // height, -(-(y + 1) * layer.shape[2] // height)
            left, right = x * layer.shape[3] // width, -(-(x + 1) * layer.shape[3] // width)
            result[:, :, y, x] = layer[:, :, top:bottom, left:right].mean((2, 3))
    return result


def attention_transfer(student: Array, teacher: Array) -> float:
    height = min(student.shape[2], teacher.shape[2])
    width = min(student.shape[3], teacher.shape[3])

    def attention(layer: Array) -> Array:
        flat = (pooled(layer, height, width) ** 2).mean(1).reshape(len(layer), -1)
        return flat / np.sqrt((flat**2).sum(1, keepdims=True))

    return float(((attention(student) - attention(teacher)) ** 2).mean())


def huber(difference: Array) -> Array:
    size = np.abs(difference)
    return np.where(size < 1, size**2 / 2, size - 0.5)


def rkd_distance(student: Array, teacher: Array) -> float:
    def distances(layer: Array) -> Array:
        d = np.array([[np.linalg.norm(a - b) for b in layer] for a in layer])
        return d / d[d > 0].mean()

    return float(huber(distances(student) - distances(teacher)).mean())


def rkd_angle(student: Array, teacher: Array) -> float:
    def angles(layer: Array) -> Array:
        rows = range(len(layer))
        found = np.zeros((len(layer),) * 3)
        for i in rows:
            for j in rows:
                for k in rows:
                    if i not in (j, k):
                        a, b = layer[j] - layer[i], layer[k] - layer[i]
                        found[i, j, k] = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
        return found

    return float(huber(angles(student) - angles(teacher)).mean())


def similarity_preserving(student: Array, teacher: Array) -> float:
    def likeness(layer: Array) -> Array:
        g = layer @ layer.T
        return g / np.linalg.norm(g, axis=1, keepdims=True)

    rows = len(student)
    return float(np.linalg.norm(likeness(teacher) - likeness(student), "fro") ** 2 / rows**2)


def cka(student: Array, teacher: Array) -> float:
    x, y = (layer - layer.mean(0) for layer in (student, teacher))
    aligned = np.linalg.norm(y.T @ x, "fro") ** 2
    return float(1 - aligned / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def crd(steps: list[dict[str, Any]], setting: dict[str, Any]) -> list[float]:
    """The loss of each of several steps, whose embeddings the next ones are told from."""
    memory: list[tuple[int, Array, Array]] = []
    z: list[float] = []
    tau, population = setting["temperature"], setting["population"]
    found = []
    for step in steps:
        batch = []
        for position, s, t in zip(step["positions"], step["student"], step["teacher"], strict=True):
            embeddings = []
            for layer, weight, bias in ((s, "w_s", "b_s"), (t, "w_t", "b_t")):
                v = np.array(setting[weight]) @ np.array(layer) + np.array(setting[bias])
                embeddings.append(v / np.linalg.norm(v))
            batch.append((position, *embeddings))
        scores = []  # (positive, negatives) of each row, for both directions
        for own, other in ((1, 2), (2, 1)):
            for row in batch:
                right = np.exp(row[own] @ row[other] / tau)
                wrong = [
                    np.exp(row[own] @ m[other] / tau) for m in batch + memory if m[0] != row[0]
                ]
                scores.append((right, wrong))
        if not z:
            for half in (scores[: len(batch)], scores[len(batch) :]):
                every = [value for right, wrong in half for value in (right, *wrong)]
                z.append(float(np.mean(every) * population))
        total = 0.0
        for number, (right, wrong) in enumerate(scores):
            norm, noise = z[number // len(batch)], len(wrong) / population
            total -= np.log(right / norm / (right / norm + noise))
            total -= sum(np.log(noise / (value / norm + noise)) for value in wrong)
        found.append(float(total / len(batch)))
        memory = (memory + batch)[-setting["negatives"] :]
    return found


FORMULAS: dict[str, Callable[[Array, Array], float]] = {
    function.__name__: function
    for function in (
        fitnet,
        cosine,
        attention_transfer,
        rkd_distance,
        rkd_angle,
        similarity_preserving,
        cka,
    )
}
SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "fitnet": ((4, 3, 2, 2), (4, 3, 2, 2)),
    "cosine": ((4, 3, 2, 2), (4, 3, 2, 2)),
    "attention_transfer": ((4, 3, 4, 3), (4, 5, 3, 5)),
    "rkd_distance": ((6, 3), (6, 5)),
    "rkd_angle": ((6, 3), (6, 5)),
    "similarity_preserving": ((6, 3), (6, 5)),
    "cka": ((6, 3), (6, 5)),
}


def gradient(formula: Callable[[Array, Array], float], student: Array, teacher: Array) -> Array:
    """With respect to the student's layer, by central differences."""
    slopes = np.zeros_like(student)
    for place in np.ndindex(student.shape):
        step = np.zeros_like(student)
        step[place] = _STEP
        ends = formula(student + step, teacher), formula(student - step, teacher)
        slopes[place] = (ends[0] - ends[1]) / (2 * _STEP)
    return slopes


def contrast_case(random: np.random.Generator) -> dict[str, Any]:
    """Four steps of four rows with a memory of six, in which a row may be that comes again."""
    positions = [[0, 3, 5, 7], [1, 3, 6, 8], [2, 4, 9, 11], [0, 5, 8, 10]]
    setting: dict[str, Any] = {"temperature": 0.2, "population": 12, "negatives": 6}
    for name, shape in (("w_s", (4, 3)), ("b_s", (4,)), ("w_t", (4, 5)), ("b_t", (4,))):
        setting[name] = random.normal(size=shape).round(3).tolist()
    steps = [
        {
            "positions": places,
            "student": random.normal(size=(4, 3)).round(3).tolist(),
            "teacher": random.normal(size=(4, 5)).round(3).tolist(),
        }
        for places in positions
    ]
    return {"setting": setting, "steps": steps, "losses": crd(steps, setting)}


def golden() -> dict[str, Any]:
    """Layers of a teacher and a student, and what each objective makes of them."""
    random = np.random.default_rng(20191109)
    cases = []
    for name, (first, second) in SHAPES.items():
        student = (random.normal(size=first) * 2 + 0.5).round(3)
        teacher = (random.normal(size=second) * 2 + 0.5).round(3)
        cases.append(
            {
                "name": name,
                "student": student.tolist(),
                "teacher": teacher.tolist(),
                "loss": FORMULAS[name](student, teacher),
                "gradient": gradient(FORMULAS[name], student, teacher).round(9).tolist(),
            }
        )
    return {"cases": cases, "crd": contrast_case(random)}


if __name__ == "__main__":
    written = json.dumps(golden()).replace('{"name"', '\n{"name"')  # a case a line
    Path(__file__).with_suffix(".json").write_text(written + "\n")
