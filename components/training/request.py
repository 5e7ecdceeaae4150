"""What a training step asks of the processes that train: as JSON, with its inputs, in a *place*.

A place is a folder or an S3 prefix. It holds the request, the inputs where other nodes have to
reach them, and then the bundle, or why there is none. Its name is the hash of all that the request
depends on, so that a step that is tried again finds what the attempt before left.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from components.shared.bundle import ASSISTANT, BUNDLE, WEIGHTS, ModelBundle, read_bundle
from components.shared.errors import StepFailed, StorageFailed, UserError
from components.shared.events import RUN_ID
from components.shared.files import digest_of, new_directory, sha256_file
from components.shared.storage import open_storage
from components.shared.storage.uris import join
from components.shared.training.rows.opening import memory_limit
from components.shared.training.termination import Terminated
from components.training.problem import Arm

_REQUEST = "request.json"
_BUNDLE = "bundle"
_FAILURE = "failure.json"
_PIECE = 2**20


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    dataset: str
    """Folder of the data set's manifest: an absolute path, or a name below the place."""
    dataset_digest: str
    seed: int
    storage: str
    """Root URI for checkpoints; empty: none are kept."""


class TeacherRequest(_Request):
    """Train a teacher."""

    step: Literal["train_teacher"] = "train_teacher"
    teacher: dict[str, Any]
    """The recipe's section."""
    held_out: float = 0.0
    """Share of the labelled rows of each class that it does not learn from."""

    @property
    def label(self) -> str:
        """Name of the step in events."""
        return "train_teacher"

    @property
    def inputs(self) -> dict[str, str]:
        """Folders that are read, by the name of the field."""
        return {"dataset": self.dataset}


class ArmRequest(_Request):
    """Train the student, or a baseline."""

    step: Literal["train_student"] = "train_student"
    arm: Arm
    soft_labels: str
    """Folder of the store's manifest, like ``dataset``."""
    soft_labels_digest: str
    student: dict[str, Any]
    distillation: dict[str, Any]
    teacher: str | None = None
    """Folder of the teacher artifact, like ``dataset``, where the method runs the teacher."""
    teacher_digest: str | None = None
    stage: int | None = None
    """Which of those that learn before the student, from 0, with that one's own sections; null for
    the student itself, and the baselines."""

    @property
    def role(self) -> str:
        """Of the bundle."""
        return self.arm if self.stage is None else ASSISTANT

    @property
    def label(self) -> str:
        """Name of the step in events."""
        return f"train_{self.role}" if self.stage is None else f"train_{self.role}_{self.stage + 1}"

    @property
    def inputs(self) -> dict[str, str]:
        """Folders that are read, by the name of the field."""
        online = {} if self.teacher is None else {"teacher": self.teacher}
        return {"dataset": self.dataset, "soft_labels": self.soft_labels, **online}


TrainingRequest = TeacherRequest | ArmRequest
_ANY: TypeAdapter[TrainingRequest] = TypeAdapter(
    Annotated[TrainingRequest, Field(discriminator="step")]
)


class Failure(BaseModel):
    """Why a process ended without a bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["user", "system", "terminated", "lost"]
    """``lost``: another process was gone without a word, which is for others to explain."""
    message: str
    rank: int

    def error(self) -> BaseException:
        """The same, as the step has to end."""
        match self.kind:
            case "user":
                return UserError(self.message)
            case "terminated":
                return Terminated()
            case "system" | "lost":
                return StepFailed(f"process {self.rank} of the training: {self.message}")


class Place:
    """Where a request, its inputs and its outcome are."""

    def __init__(self, uri: str) -> None:
        """Nothing is read or written yet.

        Args:
            uri: a folder or an S3 prefix.
        """
        self.uri = uri
        self._storage = open_storage(uri)

    def ask(self, request: TrainingRequest) -> None:
        """Write the request, whose inputs all processes can reach as they are."""
        self._storage.write(_REQUEST, request.model_dump_json(indent=2).encode())

    def stage(self, request: TrainingRequest) -> None:
        """Write the inputs, unless they are there, and the request, which comes last. Why an
        attempt before failed is forgotten: the next may fail before any of its processes starts."""
        self._storage.delete(_FAILURE)
        for name, folder in request.inputs.items():
            for file in _files(Path(folder)):
                there = f"{name}/{file.relative_to(folder).as_posix()}"
                if self._storage.size(there) != file.stat().st_size:
                    self._storage.upload(there, file)
        self.ask(request.model_copy(update={name: name for name in request.inputs}))

    @contextmanager
    def taken(self) -> Iterator[TrainingRequest]:
        """The request, with its inputs in folders of this machine for the time of the block.

        Raises:
            UserError: there is none.
        """
        try:
            request = _ANY.validate_json(self._storage.read(_REQUEST))
        except FileNotFoundError as error:
            raise UserError(f"{self.uri}: there is no {_REQUEST} here") from error
        with TemporaryDirectory(prefix="kubedistill-inputs-") as temporary:
            local = {
                name: folder if Path(folder).is_absolute() else self._fetch(folder, Path(temporary))
                for name, folder in request.inputs.items()
            }
            yield request.model_copy(update=local)

    def publish(self, bundle: Path) -> None:
        """Put a bundle here; its description comes last, and makes it whole."""
        self._storage.upload(f"{_BUNDLE}/{WEIGHTS}", bundle / WEIGHTS)
        self._storage.upload(f"{_BUNDLE}/{BUNDLE}", bundle / BUNDLE)

    @property
    def has_bundle(self) -> bool:
        """Whether a bundle was published."""
        return self._storage.exists(f"{_BUNDLE}/{BUNDLE}")

    def collect(self, output: Path) -> ModelBundle:
        """Copy the bundle into a folder, complete or absent.

        Raises:
            StorageFailed: the weights are not those that the description names; they are removed,
                so that the next attempt trains again.
        """
        with new_directory(output) as temporary:
            for name in (WEIGHTS, BUNDLE):
                self._copy(f"{_BUNDLE}/{name}", temporary / name)
            bundle = read_bundle(temporary)
            if sha256_file(temporary / WEIGHTS) != bundle.weights_sha256:
                self._storage.delete(f"{_BUNDLE}/{BUNDLE}")
                raise StorageFailed(
                    f"{join(self.uri, _BUNDLE, WEIGHTS)} is damaged (SHA-256); the bundle was "
                    "removed, and the next attempt trains again"
                )
        return bundle

    def fail(self, failure: Failure) -> None:
        """Say why there is no bundle; what others say of that later is lost."""
        self._storage.create(_FAILURE, failure.model_dump_json().encode())

    def explain(self, failure: Failure) -> None:
        """Say why a process is gone that said nothing itself, unless another reason is known: those
        that lost it, or were asked to end since it was gone, knew of none."""
        known = self.failure()
        is_effect = known is not None and known.kind in ("lost", "terminated")
        self.fail(failure if known is None or is_effect else known)

    def failure(self) -> Failure | None:
        """What was said first, which is forgotten with that."""
        try:
            found = Failure.model_validate_json(self._storage.read(_FAILURE))
        except FileNotFoundError:
            return None
        self._storage.delete(_FAILURE)
        return found

    def delete(self) -> None:
        """Remove all that is here."""
        for found in list(self._storage.list()):
            self._storage.delete(found.name)

    def _fetch(self, folder: str, target: Path) -> str:
        for found in list(self._storage.list(f"{folder}/")):
            self._copy(found.name, target / found.name)
        return str(target / folder)

    def _copy(self, name: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._storage.open(name) as source, target.open("wb") as copy:
            while piece := source.read(_PIECE):
                copy.write(piece)


def digest_of_request(request: TrainingRequest) -> str:
    """Hash of all that the outcome depends on, and of the pipeline run: another run trains anew."""
    return digest_of(
        {
            "request": request.model_dump(mode="json", exclude=set(request.inputs)),
            "inputs": {
                name: {
                    file.relative_to(folder).as_posix(): sha256_file(file)
                    for file in _files(Path(folder))
                }
                for name, folder in request.inputs.items()
            },
            "torch": torch.__version__,
            "rows_in_memory": memory_limit(),
            "run": os.environ.get(RUN_ID, ""),
        }
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
