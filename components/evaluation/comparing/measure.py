"""Both models on all fresh rows, in one pass, and then in turn against the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from components.evaluation.comparing.tallies import Batch, ComparisonTally, compare_batch
from components.evaluation.measuring import latency
from components.evaluation.measuring.deployed import DeployedModel, misfit
from components.evaluation.measuring.metrics import Predictions
from components.evaluation.measuring.streaming import Sample, in_threads, rows_of_a_batch
from components.shared import events
from components.shared.dataset import Dataset, Rows
from components.shared.errors import UserError
from components.shared.recipe import LatencySpec
from components.shared.registered import RegisteredModel
from components.shared.results import Latency, Noise
from components.shared.results.comparison import Role


@dataclass(frozen=True)
class Measured:
    """What was seen of the two models."""

    tally: ComparisonTally
    latencies: dict[Role, Latency]
    noise: Noise
    sizes: dict[Role, int]
    """Bytes of the ONNX files."""


def measure(
    dataset: Dataset,
    champion: RegisteredModel,
    challenger: RegisteredModel,
    spec: LatencySpec,
    confidence: float,
) -> Measured:
    """Run both models on all fresh rows; memory does not grow with these.

    Args:
        dataset: the fresh rows, at least one.
        champion: one of the models.
        challenger: the other one.
        spec: how latency is measured.
        confidence: level of its intervals.

    Raises:
        UserError: a model does not fit the rows, does not load, or gives no probabilities; or the
            rows cannot be read.
    """
    models: dict[Role, DeployedModel] = {
        model.role: _open(model, dataset, spec) for model in (champion, challenger)
    }
    manifest = dataset.manifest
    rows = manifest.rows["test"] + manifest.rows["unlabelled"]
    tally, sample = ComparisonTally(len(manifest.classes)), Sample(rows)
    progress = events.Progress("comparing", total=rows, unit="rows")
    batches = dataset.batches("test", "unlabelled", rows=rows_of_a_batch(manifest))
    for batch, outcome in in_threads(partial(_run, models), batches):
        sample.update(batch)
        tally.update(batch.ids, outcome)
        progress.update(tally.rows)
    timed = latency.measure(
        {role: model.path for role, model in models.items()}, sample.inputs, spec, confidence
    )
    return Measured(
        tally=tally,
        latencies={role: timed.latencies[role][0] for role in models},
        noise=timed.noise,
        sizes={role: model.path.stat().st_size for role, model in models.items()},
    )


def _open(model: RegisteredModel, dataset: Dataset, spec: LatencySpec) -> DeployedModel:
    problem = misfit(model.role, model.deployable, dataset.manifest)
    if problem:
        raise UserError(
            f"the {model.role} (version {model.version}) cannot be compared on these rows: "
            f"{problem}"
        )
    return DeployedModel.open(
        model.role,
        model.folder,
        model.deployable,
        spec.provider,
        spec.batch_sizes[0],
        row="fresh row",
    )


def _run(models: Mapping[Role, DeployedModel], rows: Rows) -> Batch:
    champion, challenger = (
        Predictions.of(models[role].predict(rows)) for role in ("champion", "challenger")
    )
    return compare_batch(champion, challenger, rows.labels)
