"""Runs what a TrainJob asks for as Trainer's torch runtime does: a torchrun a node, on loopback."""

import os
import subprocess
import sys
import threading

from tests.cluster.holders import ROOT
from tests.cluster.train_job_cluster import Cluster, Job
from tests.servers.processes import free_ports


class Nodes:
    """The pods of a job, each a process here; what they say is what the kubelet has."""

    def __init__(self, cluster: Cluster, job: Job) -> None:
        self._cluster, trainer = cluster, job["spec"]["trainer"]
        (port,) = free_ports(1)
        given = {found["name"]: found["value"] for found in trainer["env"]}
        self._pods, self._processes, self._readers = [], [], []
        for node in range(trainer["numNodes"]):
            environment = {
                **os.environ,
                **given,
                "HOME": os.environ["HOME"],
                "KUBEDISTILL_CACHE_DIR": str(cluster.folder / f"cache-{node}"),
                "GLOO_SOCKET_IFNAME": "lo",
                "PET_NNODES": str(trainer["numNodes"]),
                "PET_NPROC_PER_NODE": str(trainer["numProcPerNode"]),
                "PET_NODE_RANK": str(node),
                "PET_MASTER_ADDR": "127.0.0.1",
                "PET_MASTER_PORT": str(port),
            }
            pod = cluster.start_pod(node)
            process = subprocess.Popen(
                [sys.executable, *trainer["command"][1:]],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            reader = threading.Thread(target=self._read, args=(pod, process), daemon=True)
            reader.start()
            self._pods.append(pod)
            self._processes.append(process)
            self._readers.append(reader)

    def finish(self) -> list[int]:
        """Wait for them, and say so to the API; returns their exit statuses."""
        statuses = [process.wait(120) for process in self._processes]
        for pod, reader, status in zip(self._pods, self._readers, statuses, strict=True):
            reader.join()
            self._cluster.end_pod(pod, status)
        return statuses

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _read(self, pod: str, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout as said:
            for line in said:
                self._cluster.say(pod, line.rstrip("\n"))
