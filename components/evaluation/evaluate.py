"""The evaluation: every arm on the same test rows, from the ONNX files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.evaluation import latency, metrics
from components.evaluation.bounds import wilson_interval
from components.evaluation.deployed import DeployedModel
from components.shared.dataset import UNLABELLED, Dataset, Rows
from components.shared.errors import UserError
from components.shared.recipe.gates import EvaluationSpec
from components.shared.results import ArmName, ArmResult, Evaluation, Latency


def evaluate(
    dataset_folder: Path,
    arms: Mapping[ArmName, Path],
    champion: Path | None,
    champion_version: str | None,
    spec: EvaluationSpec,
) -> Evaluation:
    """Measure all arms, and the champion where there is one, on the test split.

    Args:
        dataset_folder: the resolved data set.
        arms: deployable folder of each trained arm; ``student`` must be among them.
        champion: deployable folder of the present champion.
        champion_version: its version in the registry.
        spec: how latency is measured, and the level of the intervals.

    Raises:
        UserError: a model is damaged, does not fit the data set, or gives no probabilities; or the
            test split is empty or has a row without a label.
    """
    dataset = Dataset.open(dataset_folder)
    manifest = dataset.manifest
    rows = _test_rows(dataset)
    folders = dict(arms) | ({"champion": champion} if champion else {})
    models = {
        arm: DeployedModel.open(arm, folder, manifest, spec.threads)
        for arm, folder in folders.items()
    }
    probabilities = {arm: model.predict(rows) for arm, model in models.items()}
    latencies = latency.measure(
        {arm: model.session for arm, model in models.items()}, rows.inputs, spec
    )
    results = {
        arm: _result(model, probabilities[arm], rows.labels, latencies[arm], spec.confidence)
        for arm, model in models.items()
    }
    right = {arm: values.argmax(axis=1) == rows.labels for arm, values in probabilities.items()}
    return Evaluation(
        dataset_digest=manifest.digest,
        classes=manifest.classes,
        rows=len(rows),
        confidence=spec.confidence,
        arms=results,
        paired={
            arm: metrics.paired_counts(right["student"], right[arm])
            for arm in models
            if arm != "student"
        },
        champion_version=champion_version if champion else None,
        champion_dataset_digest=(
            models["champion"].description.dataset_digest if champion else None
        ),
    )


def _test_rows(dataset: Dataset) -> Rows:
    rows = dataset.load("test")
    source = dataset.manifest.source
    if not len(rows):
        raise UserError(f"{source}: the test split has no rows; there is nothing to measure on")
    without_label = rows.labels == UNLABELLED
    if without_label.any():
        raise UserError(
            f"{source}: test row {rows.ids[int(without_label.argmax())]!r} has no label "
            f"({int(without_label.sum())} of {len(rows)} rows); put such rows in the unlabelled "
            "split"
        )
    return rows


def _result(
    model: DeployedModel,
    probabilities: metrics.Probabilities,
    labels: metrics.Labels,
    timing: Latency,
    confidence: float,
) -> ArmResult:
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    accuracy = float((predicted == labels).mean())
    names = model.description.classes
    confusion = metrics.confusion_matrix(labels, predicted, len(names))
    error, bins = metrics.calibration(probabilities, labels)
    return ArmResult(
        accuracy=accuracy,
        accuracy_interval=wilson_interval(accuracy, len(labels), confidence),
        rows=len(labels),
        per_class=metrics.per_class(confusion, names),
        confusion=confusion.tolist(),
        calibration_error=error,
        calibration=bins,
        parameters=model.description.parameters,
        size_bytes=model.size_bytes,
        latency_ms=timing,
        model_digest=model.description.onnx_sha256,
        bundle_digest=model.description.bundle_digest,
    )
