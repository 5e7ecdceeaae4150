"""Starts the processes of a training on one machine, and ends all when one fails: torch's elastic
launcher, without restarts, on loopback.

Run as ``python -m components.training.agent PROCESSES REQUEST_URI PID_OF_THE_STEP``.
"""

import logging
import sys
import uuid
from tempfile import TemporaryDirectory

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from components.shared.parent import terminate_at_its_end
from components.shared.training.termination import STATUS
from components.training.request import Failure, Place

_GRACE_S = 3600
"""How long processes may take to end; the pod's own grace period is what counts."""
_HERE = "127.0.0.1"
_ADVICE = "; where the kernel did that, give the pod more memory"


def main(processes: int, uri: str, step: int) -> int:
    """Run the processes to their end, or to that of the step; returns the exit status.

    Why one failed is in the place of the request, written by itself; torch's own account of it goes
    over many lines, and is left out.
    """
    if not terminate_at_its_end(step):  # training goes on for nobody
        return STATUS
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    with TemporaryDirectory(prefix="kubedistill-torchrun-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint=f"{_HERE}:0",
            local_addr=_HERE,
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            shutdown_timeout=_GRACE_S,
        )
        try:
            elastic_launch(config, sys.executable)("-m", "components.training.worker", uri)
        except ChildFailedError as error:
            for rank, failure in error.failures.items():
                if failure.exitcode < 0:
                    message = f"it was ended by {failure.signal_name()}{_ADVICE}"
                    Place(uri).explain(Failure(kind="system", message=message, rank=rank))
            return 1
        except SignalException:
            return STATUS
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
