"""Labelling: one pass of the teacher over every training row, shard by shard."""

import numpy as np
import numpy.typing as npt
import torch

from components.shared.bundle import ModelBundle
from components.shared.dataset import Rows
from components.shared.events import Progress
from components.shared.files import digest_of
from components.shared.networks import Classifier
from components.shared.soft_labels import (
    SoftLabelWriter,
    StoreIdentity,
    StoreManifest,
    TeacherRef,
)
from components.shared.storage import Storage

SHARD_ROWS = 65_536
_BATCH_ROWS = 1_024


def store_identity(teacher: ModelBundle, dataset_digest: str) -> StoreIdentity:
    """The identity of the labels that ``teacher`` gives to a data set."""
    return StoreIdentity(
        dataset_digest=dataset_digest,
        teachers=[TeacherRef(digest=teacher.digest, weight=1.0)],
        classes=teacher.classes,
        preprocessing_digest=digest_of(
            [teacher.input.model_dump(), teacher.preprocessing.model_dump()]
        ),
    )


def label_rows(
    network: Classifier,
    rows: Rows,
    identity: StoreIdentity,
    storage: Storage,
    shard_rows: int = SHARD_ROWS,
) -> StoreManifest:
    """Write the teacher's logits for all rows; shards that are whole already are kept.

    Args:
        network: the teacher, in evaluation mode.
        rows: the transfer set, labelled and unlabelled rows.
        identity: what the labels depend on.
        storage: where the store lives.
        shard_rows: rows in one shard.

    Raises:
        UserError: the teacher's logits are not finite.
    """
    writer = SoftLabelWriter(storage, identity)
    progress = Progress("labelling", total=len(rows), unit="rows")
    for index, start in enumerate(range(0, len(rows), shard_rows)):
        part = slice(start, start + shard_rows)
        ids = rows.ids[part]
        if not writer.has(index, ids):
            writer.write(index, ids, _logits(network, rows.inputs[part]))
        progress.update(start + len(ids))
    return writer.seal()


@torch.inference_mode()
def _logits(network: Classifier, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    device = next(network.parameters()).device
    batches = torch.split(torch.from_numpy(inputs), _BATCH_ROWS)
    return torch.cat([network(batch.to(device)).cpu() for batch in batches]).numpy()
