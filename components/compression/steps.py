"""The compression step, free of KFP."""

from collections.abc import Mapping
from pathlib import Path

import torch

from components.compression.export import write_deployable
from components.shared import events
from components.shared.bundle import load_network
from components.shared.dataset import Dataset

_CHECKED_ROWS = 1_000


def compress(
    dataset: Path,
    dataset_digest: str,
    bundles: Mapping[str, tuple[Path, str]],
    outputs: Mapping[str, Path],
) -> None:
    """Export every arm to ONNX, checked on rows of the training splits.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        bundles: model bundle of each arm and its content hash; ``teacher`` must be among them.
        outputs: folder for each arm's deployable model.

    Raises:
        SystemExit: with status 2, where a bundle cannot be read or exported.
    """
    with events.step("compress_student"):
        torch.set_num_threads(1)
        inputs = (
            Dataset.open(dataset, dataset_digest)
            .load("labelled", "unlabelled")
            .inputs[:_CHECKED_ROWS]
        )
        _, teacher_digest = bundles["teacher"]
        for arm, (folder, digest) in bundles.items():
            bundle, network = load_network(folder, digest)
            deployable = write_deployable(
                outputs[arm],
                bundle,
                network,
                inputs,
                teacher_digest=None if arm == "teacher" else teacher_digest,
            )
            events.emit(
                "exported",
                arm=arm,
                max_difference=deployable.max_difference,
                rows=deployable.checked_rows,
            )
