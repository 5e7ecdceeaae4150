"""TrainJobs in the cluster: make, read, watch, delete."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from components.training.trainjob.api import Api, Missing, Outdated, OutOfReach
from components.training.trainjob.manifest import GROUP, PLURAL, RUN_LABEL, VERSION

Job = dict[str, Any]
_PATH = f"apis/{GROUP}/{VERSION}//{PLURAL}"
_WATCH_S = 60
"""Seconds of one watch; the next one starts from what is true then."""
_GRACE_S = 15.0


class TrainJobs:
    """The TrainJobs of a namespace. Failures are those of :meth:`Api.send`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @property
    def namespace(self) -> str:
        """Where they are."""
        return self._api.namespace

    def create(self, job: Job) -> Job:
        """Make a job; ``Conflict`` where there is one of that name.

        A field that the cluster does not know is refused: it would be dropped without a word
        otherwise, and the pods would run without it.
        """
        return self._api.send("create", _PATH, method="POST", body=job, fieldValidation="Strict")

    def read(self, name: str) -> Job | None:
        """The job as it is; null where there is none."""
        try:
            return self._api.send("get", f"{_PATH}/{name}")
        except Missing:
            return None

    def of_run(self, run_id: str) -> list[Job]:
        """All that were made in a pipeline run."""
        selector = f"{RUN_LABEL}={run_id}"
        found: list[Job] = self._api.send("list", _PATH, labelSelector=selector)["items"]
        return found

    def changes(self, job: Job) -> Iterator[Job | None]:
        """The job after each change, null once it is gone; ends after a while.

        Raises:
            OutOfReach: the connection was lost, also in the middle of a line.
            Outdated: the job as it was given is older than what the API remembers.
        """
        lines = self._api.lines(
            "watch",
            _PATH,
            silence_s=_WATCH_S + _GRACE_S,
            watch="true",
            fieldSelector=f"metadata.name={job['metadata']['name']}",
            resourceVersion=job["metadata"]["resourceVersion"],
            timeoutSeconds=_WATCH_S,
        )
        for line in lines:
            change = _change(line)
            match change["type"]:
                case "ADDED" | "MODIFIED":
                    yield change["object"]
                case "DELETED":
                    yield None
                case "ERROR":
                    status = change["object"]
                    kind = Outdated if status.get("code") == HTTPStatus.GONE else OutOfReach
                    raise kind(f"the watch ended: {status.get('message')}")

    def delete(self, job: Job) -> None:
        """Delete this very job; it is there until its pods have ended, with the time that they are
        given to write a checkpoint."""
        metadata = job["metadata"]
        options = {"propagationPolicy": "Foreground", "preconditions": {"uid": metadata["uid"]}}
        try:
            self._api.send("delete", f"{_PATH}/{metadata['name']}", method="DELETE", body=options)
        except Missing:
            return


def _change(line: str) -> dict[str, Any]:
    try:
        change: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise OutOfReach("the watch was cut off in the middle of a line") from error
    return change
