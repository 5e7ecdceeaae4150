"""Probabilities of all classes from teachers of which each knows some.

What a teacher says is p(class | one of its classes). The classes' probabilities are those from
which all of that differs least in cross-entropy, weighted (Vongkulbhisal et al., "Unifying
Heterogeneous Classifiers With Distillation", CVPR 2019, arXiv 1906.02546): they minimise
sum_k w_k CE(q_k, p restricted to the classes of k). Where every teacher knows every class, that is
the weighted mean of their probabilities. Where the teachers' classes do not hang together by
classes that several know, the ratio between such parts is free; of all solutions the one with the
shortest vector of logits is taken, in which the more decided teacher weighs more.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.soft_labels.teachers.checking import LEAST_PROBABILITY

Numbers = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_FLOOR = float(np.log(LEAST_PROBABILITY))
_MOST_STEPS = 200
_CLOSE = 1e-20
"""Newton's decrement, about twice what is left to gain, at which the solution is taken as found."""


def mixture(
    logits: Sequence[npt.NDArray[np.floating]],
    known: Sequence[Positions],
    weights: Numbers,
    classes: int,
) -> Numbers:
    """Logarithms of the probabilities of all classes, shape (rows, classes).

    Classes that no teacher with a weight knows have none (-inf).

    Args:
        logits: of each teacher, at temperature 1, shape (rows, its classes).
        known: the classes that they are of, by their positions among all.
        weights: of each teacher for each row, shape (rows, teachers), at least 0, and one of them
            above; what is between is raised to 2**-23 of the whole.
        classes: how many there are.
    """
    logs = [log_softmax(one) for one in logits]
    whole = weights.sum(axis=1, keepdims=True)
    shares = np.where(weights > 0, np.maximum(weights / whole, LEAST_PROBABILITY), 0)
    heard, which = np.unique(shares > 0, axis=0, return_inverse=True)
    found = np.full((len(weights), classes), -np.inf)
    for number, pattern in enumerate(heard):
        rows = np.flatnonzero(which.reshape(-1) == number)
        members = np.flatnonzero(pattern).tolist()
        found[rows] = _mixture(
            [logs[member][rows] for member in members],
            [known[member] for member in members],
            shares[rows][:, members],
            classes,
        )
    return found


def log_softmax(logits: npt.NDArray[np.floating]) -> Numbers:
    """Along the last axis, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def _mixture(
    logs: Sequence[Numbers], known: Sequence[Positions], weights: Numbers, classes: int
) -> Numbers:
    """The same of teachers that all have a weight above 0."""
    told = np.full((len(weights), classes), -np.inf)
    with np.errstate(divide="ignore"):
        for log, there, weight in zip(logs, known, np.log(weights).T, strict=True):
            told[:, there] = np.logaddexp(told[:, there], weight[:, None] + log)
    groups = _groups(known, classes)
    found = told - _log_sum(told)
    if len(groups) == 1:
        return found
    members = np.asarray([[_knows(there, group) for group in groups] for there in known])
    masses = _masses(_told_of_groups(logs, known, groups), weights, members)
    for group, mass in zip(groups, masses.T, strict=True):
        within = told[:, group]
        found[:, group] = mass[:, None] + within - _log_sum(within)
    for part in _parts(members, groups):
        logits = found[:, part] - _log_sum(found[:, part])
        found[:, part] = logits - np.maximum(logits, _FLOOR).mean(axis=1, keepdims=True)
    return found - _log_sum(found)


def _groups(known: Sequence[Positions], classes: int) -> list[Positions]:
    """Classes that the same teachers know; those that none knows are in no group."""
    table = np.zeros((len(known), classes), np.bool_)
    for row, there in zip(table, known, strict=True):
        row[there] = True
    heard = np.flatnonzero(table.any(axis=0))
    _, group = np.unique(table[:, heard], axis=1, return_inverse=True)
    group = group.reshape(-1)
    return [heard[group == number] for number in range(group.max() + 1)]


def _knows(known: Positions, group: Positions) -> bool:
    return bool(np.isin(group[0], known))


def _told_of_groups(
    logs: Sequence[Numbers], known: Sequence[Positions], groups: Sequence[Positions]
) -> Numbers:
    """Probability of each group by each teacher, shape (rows, teachers, groups); 0 where a teacher
    does not know it, and else not below the rounding of a float."""
    found = np.zeros((len(logs[0]), len(logs), len(groups)))
    for teacher, (log, there) in enumerate(zip(logs, known, strict=True)):
        for number, group in enumerate(groups):
            if _knows(there, group):
                mass = np.exp(log[:, np.isin(there, group)]).sum(axis=1)
                found[:, teacher, number] = np.maximum(mass, LEAST_PROBABILITY)
    return np.asarray(found / found.sum(axis=2, keepdims=True))


def _masses(told: Numbers, weights: Numbers, members: Flags) -> Numbers:
    """Logarithms of the groups' probabilities, up to a constant of each part; (rows, groups).

    Newton's method on sum_k w_k log sum_{a of k} exp(v_a) - sum_a b_a v_a, with steps damped as for
    functions whose third derivative is bounded by the second times the length of the step (Sun and
    Tran-Dinh, "Generalized self-concordant functions", Math. Programming 2019, nu = 2), so that it
    converges from anywhere.

    Args:
        told: shape (rows, teachers, groups).
        weights: shape (rows, teachers).
        members: which groups a teacher knows, shape (teachers, groups).
    """
    wanted = np.einsum("rk,rka->ra", weights, told)
    values: Numbers = np.log(wanted) - np.log(weights @ members)
    together, groups = _together(members), range(members.shape[1])
    left = np.arange(len(values))
    for _ in range(_MOST_STEPS):
        inside = np.where(members, values[left, None, :], -np.inf)
        share = np.exp(log_softmax(inside))
        pull = np.einsum("rk,rka->ra", weights[left], share)
        curvature = together - np.einsum("rk,rka,rkb->rab", weights[left], share, share)
        curvature[:, groups, groups] += pull
        slope = wanted[left] - pull
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        length = np.maximum(np.ptp(step, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        values[left] += step * np.log1p(length) / length
        left = left[(slope * step).sum(axis=1) > _CLOSE]
        if not len(left):
            break
    return values


def _parts(members: Flags, groups: Sequence[Positions]) -> list[Positions]:
    """Classes that hang together by classes that several teachers know."""
    return [
        np.concatenate([groups[number] for number in np.flatnonzero(part).tolist()])
        for part in np.unique(_together(members), axis=0)
    ]


def _together(members: Flags) -> Flags:
    """Whether two groups hang together, shape (groups, groups)."""
    found: Flags = members.T @ members
    while (further := found @ found).sum() > found.sum():
        found = further
    return found


def _log_sum(logs: Numbers) -> Numbers:
    """Logarithm of the sum of exponentials along the last axis, which stays."""
    largest = logs.max(axis=-1, keepdims=True)
    total: Numbers = largest + np.log(np.exp(logs - largest).sum(axis=-1, keepdims=True))
    return total
