"""Who takes part in an evaluation: every file once, and which arms and candidates it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from components.evaluation.measuring.deployed import DeployedModel, describe
from components.evaluation.measuring.predictor import Predictor
from components.evaluation.measuring.stored import StoredModel, has_predictions, open_stored
from components.shared.candidates import CandidateSet
from components.shared.dataset import DatasetManifest
from components.shared.deployable import Deployable
from components.shared.errors import UserError
from components.shared.recipe.evaluation import LatencySpec
from components.shared.results import ArmName

TEACHER: ArmName = "teacher"


@dataclass(frozen=True)
class Entry:
    """An arm or a candidate."""

    model: str
    """Name of the model in the line-up whose file it is."""
    description: Deployable


@dataclass(frozen=True)
class Lineup:
    """All that are measured."""

    files: dict[str, DeployedModel]
    """Each different file, by the name of the first that it stands for."""
    arms: dict[ArmName, Entry]
    """Those that are a file."""
    served_teacher: StoredModel | None
    """The teacher, where it is none."""
    candidates: dict[str, Entry]
    """In the order of the recipe."""
    broken: dict[str, str]
    """Candidates that cannot be run, with the reason."""

    @cached_property
    def models(self) -> dict[str, Predictor]:
        """All that predict, by name."""
        models: dict[str, Predictor] = dict(self.files)
        return models | ({TEACHER: self.served_teacher} if self.served_teacher else {})

    @property
    def teacher(self) -> str:
        """Name of the model that is the teacher."""
        return TEACHER if self.served_teacher else self.arms[TEACHER].model

    @property
    def others(self) -> dict[ArmName, str]:
        """Models of the arms that forms of the student are compared with."""
        models: dict[ArmName, str] = {TEACHER: self.teacher}
        return models | {arm: one.model for arm, one in self.arms.items() if arm != "student"}

    @property
    def optional(self) -> set[str]:
        """Models that are no arm."""
        return set(self.files) - {entry.model for entry in self.arms.values()}


def open_lineup(
    arms: Mapping[ArmName, Path],
    candidates: Path,
    made: CandidateSet,
    manifest: DatasetManifest,
    spec: LatencySpec,
) -> Lineup:
    """Open every file once.

    Args:
        arms: deployable folder of each arm; of the teacher also one with stored predictions.
        candidates: folder with the deployable folders of the candidates.
        made: the candidates.
        manifest: of the data set that they are measured on.
        spec: where they run, and how many rows are in a call.

    Raises:
        UserError: an arm is damaged, does not load, or does not fit the data set.
    """
    files: dict[str, DeployedModel] = {}
    by_file: dict[str, str] = {}

    def enter(name: str, folder: Path) -> Entry:
        description = describe(name, folder, manifest)
        if description.onnx_sha256 not in by_file:
            files[name] = DeployedModel.open(
                name, folder, description, spec.provider, spec.batch_sizes[0]
            )
            by_file[description.onnx_sha256] = name
        return Entry(by_file[description.onnx_sha256], description)

    served = has_predictions(arms[TEACHER])
    entered = {
        arm: enter(arm, folder) for arm, folder in arms.items() if not (served and arm == TEACHER)
    }
    intact: dict[str, Entry] = {}
    broken: dict[str, str] = {}
    for candidate in made.candidates:
        try:
            intact[candidate.name] = enter(
                f"candidate {candidate.name}", candidates / candidate.name
            )
        except UserError as error:
            broken[candidate.name] = str(error)
    return Lineup(
        files=files,
        arms=entered,
        served_teacher=open_stored(arms[TEACHER], manifest) if served else None,
        candidates=intact,
        broken=broken,
    )
