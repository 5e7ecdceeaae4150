"""Many processes that promote at once, and are killed while they do."""

import json
import os
import random
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import tags
from components.registration.locking.choosing import choose_lock
from components.registration.locking.file_lock import FileLock
from components.registration.logged_model import logged_model
from components.registration.promotion.concluding import conclude
from components.registration.promotion.ledger import Ledger, View
from components.registration.promotion.session import settled_view
from components.registration.promotion.subject import ChampionMoved
from components.registration.store import Store
from components.registration.submission import Submission

DONE, OVERTAKEN, BROKEN = 0, 10, 20
"""Exit status of a process that promotes; 20 stands for an error that nobody expects."""
_NO_CHAMPION = "none"
_KILLS = (0, 0, 1, 1, 1, 2, 3)
"""In a round; each as likely."""
_SOONER, _LATER = 0.8, 1.1
"""Factors of the time until a kill, after one that came too late and after one that did not: on a
machine of any speed, some seven of ten hit (0.8³ · 1.1⁷ ≈ 1)."""
_POLL_S = 0.002
_LOOK_S = 0.05
"""Between two looks of the watcher."""


@dataclass
class Race:
    """One alias, which many processes want to move."""

    client: MlflowClient
    store: Store
    run: Run
    template: Submission
    artifacts: Path
    """Where the server keeps artifacts."""
    random: random.Random
    killed: int = 0
    disturbed: int = 0
    """Rounds in which at least one holder was to be killed."""
    _waiting: list[str] = field(default_factory=list)
    """Runs that have been overtaken, or have not tried yet."""
    _uploaded: int = 0
    _longest_s: float = 0.3
    """Until a kill, from when its victim is seen to hold the lock."""

    def __post_init__(self) -> None:
        self._whole = logged_model(self.client, self.run, self.template)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.client, self.template.registry.model, self.template.registry.alias)

    @property
    def lock(self) -> FileLock:
        registry = self.template.registry
        return cast(FileLock, choose_lock(self.store, registry.model, registry.alias))

    def view(self) -> View:
        """The registry, once nothing is half-done."""
        found = settled_view(self.ledger, self.lock)
        assert found is not None
        return found

    def promote_at_once(self, count: int) -> Counter[int]:
        """Promote students that were all measured against the present champion.

        Up to three times, whoever holds the lock is killed, and started again at once, as a retried
        pod is. Those that are overtaken are measured again for the next round.

        Returns:
            How many processes ended with each status.
        """
        while len(self._waiting) < count:
            self._waiting.append(self._upload())
        view = self.ledger.read()
        champion = view.standing.champion if view else None
        running = {self._start(run_id, champion): run_id for run_id in self._waiting}
        kills = self.random.choice(_KILLS)
        self.disturbed += kills > 0
        for _ in range(kills):
            killed = self._kill_holder(list(running))
            if killed is not None:
                run_id = running.pop(killed)
                running[self._start(run_id, champion)] = run_id
        statuses = {run_id: _wait_for(process) for process, run_id in running.items()}
        self._waiting = [run_id for run_id, status in statuses.items() if status != DONE]
        return Counter(statuses.values())

    @contextmanager
    def watched(self, file: Path) -> Iterator[None]:
        """Write down every champion that serving could have read meanwhile, a line each."""
        watcher = os.fork()
        if watcher == 0:
            try:
                self._watch(file)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(BROKEN)
        try:
            yield
        finally:
            os.kill(watcher, signal.SIGKILL)
            _, status = os.waitpid(watcher, 0)
        assert os.WIFSIGNALED(status), "the watcher did not watch until the end"

    def _watch(self, file: Path) -> None:
        last = _NO_CHAMPION
        with file.open("w", buffering=1) as lines:
            while True:
                found = self._served()
                if found != last:
                    lines.write(f"{found}\n")
                    last = found
                time.sleep(_LOOK_S)

    def _served(self) -> str:
        registry = self.template.registry
        try:
            found = self.client.get_model_version_by_alias(registry.model, registry.alias)
        except MlflowException as error:
            # MLflow's code for a model that is not there, and that for an alias.
            if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise
            return _NO_CHAMPION
        return str(found.version)

    def _submission(self, run_id: str, champion: str | None) -> Submission:
        decision = self.template.decision.model_copy(update={"champion_version": champion})
        return replace(self.template, run_id=run_id, decision=decision)

    def _upload(self) -> str:
        """A new run, and what uploading its student leaves, without the time that it takes."""
        self._uploaded += 1
        run_id = f"run-{self._uploaded}"
        submission = replace(self.template, run_id=run_id)
        model = self.client.create_logged_model(
            self.run.info.experiment_id,
            "student",
            self.run.info.run_id,
            tags=submission.identity | {tags.UPLOADED_DIGEST: submission.decision.student_digest},
        )
        shutil.copytree(
            self._folder(self._whole.artifact_location), self._folder(model.artifact_location)
        )
        self.client.finalize_logged_model(model.model_id, "READY")
        return run_id

    def _folder(self, artifact_uri: str) -> Path:
        return self.artifacts / urlsplit(artifact_uri).path.lstrip("/")

    def _start(self, run_id: str, champion: str | None) -> int:
        submission = self._submission(run_id, champion)
        process = os.fork()
        if process == 0:
            os._exit(self._promote(submission))
        return process

    def _promote(self, submission: Submission) -> int:
        try:
            conclude(self.client, self.store, self.run, submission)
        except ChampionMoved:
            return OVERTAKEN
        except BaseException:
            traceback.print_exc()
            return BROKEN
        return DONE

    def _kill_holder(self, processes: list[int]) -> int | None:
        """Kill -9 the next one that holds the lock, at a random moment; null where it was done
        before that, or nobody came."""
        holder = None
        while holder is None and any(map(_runs, processes)):
            time.sleep(_POLL_S)
            holder = self._holder(processes)
        if holder is None:
            return None
        time.sleep(self.random.uniform(0, self._longest_s))
        if self._holder(processes) != holder:
            self._longest_s *= _SOONER
            return None
        os.kill(holder, signal.SIGKILL)
        if os.waitid(os.P_PID, holder, os.WEXITED | os.WNOWAIT).si_code != os.CLD_KILLED:
            return None  # it ended at this very moment
        _wait_for(holder)
        self._longest_s *= _LATER
        self.killed += 1
        return holder

    def _holder(self, processes: list[int]) -> int | None:
        """Which of these holds the lock; they end as soon as they have given it back."""
        try:
            record = json.loads(self.lock.path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        holder = int(record["holder"].partition("@")[0])
        return holder if holder in processes and _runs(holder) else None


def _runs(process: int) -> bool:
    """Whether a child has not ended."""
    ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended is None


def _wait_for(process: int) -> int:
    """Exit status of a child; negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
