"""Names of TrainJobs, and label values: within what Kubernetes, JobSet and Trainer take."""

import hashlib
import re

LONGEST = 45
"""Characters of a TrainJob's name. The JobSet, the Job and the pods are called by it as well, a pod
at most ``NAME-node-0-9999-abcde``, which JobSet wants within 63."""
_LONGEST_LABEL = 63
_HASH = 8


def job_name(run_id: str, training: str) -> str:
    """The same name for the same training of the same run, which a step tried again finds.

    Args:
        run_id: of the pipeline run; empty where there is none.
        training: what is trained, unlike every other training of the run.
    """
    parts = ["kd", run_id[:_HASH], training] if run_id else ["kd", training]
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    if len(name) <= LONGEST:
        return name
    told_apart = hashlib.sha256(f"{run_id}/{training}".encode()).hexdigest()[:_HASH]
    return f"{name[: LONGEST - _HASH - 1].rstrip('-')}-{told_apart}"


def label_value(text: str) -> str:
    """A text as far as the value of a label can show it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:_LONGEST_LABEL].strip("._-")
