"""How quiet the machine was while latencies were measured."""

import numpy as np

from components.evaluation.measuring.turns import Trace
from components.shared.results import Noise


def noise(trace: Trace, limit: float, attempts: int) -> Noise:
    """Judge one attempt.

    Args:
        trace: what was timed under the condition that gates judge. Others may be noisy by
            themselves: more threads than there are CPUs wait for each other.
        limit: from here on a machine counts as noisy.
        attempts: how many were made up to this one.
    """
    return Noise(
        drift=drift(trace),
        preempted=preempted(trace),
        limit=limit,
        attempts=attempts,
    )


def drift(trace: Trace) -> float:
    """Spread of the segments: (90th - 10th percentile) / median.

    A segment's figure is the mean, over the models, of its median latency relative to the model's
    own median over all segments: what they have in common is the machine.
    """
    relative = []
    for samples in trace.nanoseconds.values():
        medians = np.median(samples, axis=1)
        relative.append(medians / np.median(medians))
    low, middle, high = np.quantile(np.mean(relative, axis=0), [0.1, 0.5, 0.9])
    return float((high - low) / middle)


def preempted(trace: Trace) -> float:
    """Share of the wall time of the counted calls in which the calling thread did not run, 0 to 1.

    With more threads the calling thread takes its share of the work, and spins, on the CPU, until
    the others are done; so this is about the calling thread still. Others that had to wait for a
    CPU make calls longer, which is seen as drift.
    """
    return max(0.0, 1 - trace.cpu_ns / trace.wall_ns)


def loudness(found: Noise) -> float:
    """The worse of the two figures, by which attempts are compared."""
    return max(found.drift, found.preempted)
