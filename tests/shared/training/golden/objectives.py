"""Reference values of the objectives, from the papers' formulas in NumPy and SciPy, float64.

``python tests/shared/training/golden/objectives.py`` writes ``objectives.json`` beside itself.
Nothing of the project is imported. The formulas follow the authors' own code where there is some
(megvii-research/mdistiller for DKD, hunto/image_classification_sota for DIST,
sunshangquan/logit-standardization-KD), however unlike ours that is; gradients are central
differences. kd, kd with standardise, and dist were compared with ``KDLoss``, ``LogitStdKDLoss`` and
``DISTLoss`` of torchdistill 1.1.5 (2026-11-28): all within 1e-14 of these values.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import pearsonr

Array = npt.NDArray[np.float64]
_STEP = 1e-5

METHODS: dict[str, list[dict[str, Any]]] = {
    "kd": [{"kind": "kd"}],
    "kd, standardised": [{"kind": "kd", "standardise": True}],
    "dkd": [{"kind": "dkd"}],
    "dkd, own factors and temperature": [
        {"kind": "dkd", "alpha": 0.7, "beta": 2.5, "temperature": 4.0}
    ],
    "dkd, standardised": [{"kind": "dkd", "standardise": True}],
    "dist": [{"kind": "dist"}],
    "dist, own factors": [{"kind": "dist", "beta": 1.0, "gamma": 3.0}],
    "dist, standardised": [{"kind": "dist", "standardise": True}],
    "soft cross-entropy": [{"kind": "soft_cross_entropy"}],
    "soft cross-entropy, standardised": [{"kind": "soft_cross_entropy", "standardise": True}],
    "logit mse": [{"kind": "logit_mse"}],
    "pseudo-label": [{"kind": "pseudo_label"}],
    "pseudo-label, threshold": [{"kind": "pseudo_label", "threshold": 0.7}],
    "composed": [
        {"kind": "kd", "weight": 0.5},
        {"kind": "dist", "weight": 2.0, "temperature": 1.0},
        {"kind": "pseudo_label", "threshold": 0.5, "weight": 0.25},
    ],
    "scheduled": [
        {"kind": "dkd", "weight": {"start": 0.0, "end": 1.0, "over": 0.5}},
        {"kind": "kd", "temperature": {"start": 4.0, "end": 1.0}},
    ],
}
SETTINGS = [
    {"temperature": 1.0, "weight": 1.0, "progress": 0.0},
    {"temperature": 2.0, "weight": 0.9, "progress": 0.2},
    {"temperature": 4.0, "weight": 0.5, "progress": 0.75},
]


def kd(student: Array, teacher: Array, _targets: Any, tau: float) -> Array:
    return rel_entr(softmax(teacher / tau, 1), softmax(student / tau, 1)).sum(1) * tau**2


def soft_cross_entropy(student: Array, teacher: Array, _targets: Any, tau: float) -> Array:
    return -(softmax(teacher / tau, 1) * log_softmax(student / tau, 1)).sum(1) * tau**2


def dkd(
    student: Array, teacher: Array, targets: Any, tau: float, alpha: float = 1, beta: float = 8
) -> Array:
    is_target = np.eye(student.shape[1])[targets]

    def both(logits: Array) -> Array:
        p = softmax(logits / tau, 1)
        return np.stack([(p * is_target).sum(1), (p * (1 - is_target)).sum(1)], 1)

    target = rel_entr(both(teacher), both(student)).sum(1)
    without = [softmax(logits / tau - 1000 * is_target, 1) for logits in (teacher, student)]
    return tau**2 * (alpha * target + beta * rel_entr(*without).sum(1))


def dist(
    student: Array, teacher: Array, _targets: Any, tau: float, beta: float = 2, gamma: float = 2
) -> Array:
    y_s, y_t = softmax(student / tau, 1), softmax(teacher / tau, 1)
    rows = np.array([1 - pearsonr(a, b).statistic for a, b in zip(y_s, y_t, strict=True)])
    columns = np.array([1 - pearsonr(a, b).statistic for a, b in zip(y_s.T, y_t.T, strict=True)])
    return tau**2 * (beta * rows + gamma * columns.mean())


def logit_mse(student: Array, teacher: Array, _targets: Any, _tau: float) -> Array:
    return 0.5 * np.linalg.norm(student - teacher, axis=1) ** 2


def pseudo_label(
    student: Array, teacher: Array, _targets: Any, _tau: float, threshold: float = 0
) -> Array:
    p = softmax(teacher, 1)
    given = -log_softmax(student, 1)[np.arange(len(p)), p.argmax(1)]
    return given * (p.max(1) >= threshold)


def standardised(logits: Array) -> Array:
    return (logits - logits.mean(1, keepdims=True)) / (1e-7 + logits.std(1, keepdims=True, ddof=1))


def scheduled(value: Any, progress: float) -> float:
    if not isinstance(value, dict):
        return float(value)
    ends = [value["start"], value["end"]]
    return float(np.interp(progress, [0, value.get("over", 1)], ends))


FORMULAS: dict[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (kd, soft_cross_entropy, dkd, dist, logit_mse, pseudo_label)
}


def total(
    student: Array, teacher: Array, labels: Any, method: list[dict[str, Any]], setting: Any
) -> float:
    """(1 - w) · CE + w · Σ, over the rows of a batch."""
    known = labels >= 0
    rows = np.zeros(len(student))
    for given in method:
        own = dict(given)
        formula, progress = FORMULAS[own.pop("kind")], setting["progress"]
        factor = scheduled(own.pop("weight", 1), progress)
        tau = scheduled(own.pop("temperature", setting["temperature"]), progress)
        pair = (student, teacher)
        if own.pop("standardise", False):
            pair = (standardised(student), standardised(teacher))
        targets = np.where(known, labels, teacher.argmax(1))
        rows += factor * formula(*pair, targets, tau, **own)
    hard = -log_softmax(student, 1)[np.arange(len(labels)), labels] * known
    return float((setting["weight"] * rows + (1 - setting["weight"]) * hard).mean())


def gradient(student: Array, *rest: Any) -> Array:
    """By central differences."""
    slopes = np.zeros_like(student)
    for place in np.ndindex(student.shape):
        step = np.zeros_like(student)
        step[place] = _STEP
        slopes[place] = (total(student + step, *rest) - total(student - step, *rest)) / (2 * _STEP)
    return slopes


def golden() -> dict[str, Any]:
    """Logits of a teacher and a student, and what each method makes of them."""
    random = np.random.default_rng(20221109)
    teacher = (random.normal(size=(8, 6)) * 3).round(3)
    student = (0.5 * teacher + random.normal(size=(8, 6)) * 1.5).round(3)
    labels = np.array([0, -1, 2, 3, -1, 5, 1, -1])
    return {
        "student": student.tolist(),
        "teacher": teacher.tolist(),
        "labels": labels.tolist(),
        "cases": [
            {
                "name": name,
                "method": method,
                **setting,
                "loss": total(student, teacher, labels, method, setting),
                "gradient": gradient(student, teacher, labels, method, setting).round(9).tolist(),
            }
            for name, method in METHODS.items()
            for setting in SETTINGS
        ],
    }


if __name__ == "__main__":
    written = json.dumps(golden()).replace('{"name"', '\n{"name"')  # a case a line
    Path(__file__).with_suffix(".json").write_text(written + "\n")
