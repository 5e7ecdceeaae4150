"""The registration steps on a platform whose environment says which server to use."""

from pathlib import Path

from mlflow.tracking import MlflowClient

from components.registration import steps
from components.registration.client import connect
from components.registration.store import locate
from components.shared.results import ChampionRecord, Registration
from tests.registration.pipeline_run_files import RECIPE, PipelineRun, write_pipeline_run


class Platform:
    """Has a registered model and an experiment that no other test uses."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.model = f"{name}-student"
        self.experiment = name
        self.artifact_location: str | None = None
        """Of the experiments that the platform makes; null for the server's choice."""

    @property
    def registry(self) -> dict[str, str]:
        """The recipe's section."""
        return {"model": self.model, "experiment": self.experiment}

    @property
    def client(self) -> MlflowClient:
        """A client of the server that the environment names now."""
        return connect(locate(""))

    def write(self, run_id: str, **fields: object) -> PipelineRun:
        """Artifacts of a pipeline run, by default of one that is to be promoted."""
        recipe = {**RECIPE, "registry": self.registry}
        return write_pipeline_run(self.folder / run_id, run_id, recipe=recipe, **fields)

    def register(self, run: PipelineRun) -> Registration:
        """The step that records and promotes."""
        return steps.register_student(run.inputs, "", run.run_id, run.output)

    def promoted(self, run_id: str, **fields: object) -> PipelineRun:
        """A pipeline run that has been promoted."""
        run = self.write(run_id, **fields)
        self.register(run)
        return run

    def fetch_champion(self, output: Path) -> ChampionRecord:
        """The step that fetches what a student is compared with."""
        return steps.fetch_champion(self.registry, "", output)

    def create_experiment(self, name: str) -> str:
        """An experiment of the platform's own; its id."""
        return self.client.create_experiment(name, self.artifact_location)

    def aliases(self) -> dict[str, str]:
        """Version by alias; empty where there is no such registered model."""
        found = self.client.search_registered_models(f"name = '{self.model}'")
        return {alias: str(number) for model in found for alias, number in model.aliases.items()}

    def versions(self) -> list[dict[str, object]]:
        """Everything that the registry holds of the model's versions, to be compared."""
        return [dict(v) for v in self.client.search_model_versions(f"name = '{self.model}'")]
