"""A head over a frozen encoder learns from embeddings, each of which is computed once."""

import torch

from components.shared import events
from components.shared.networks import Classifier
from components.shared.networks.hugging_face import SentenceClassifier
from components.shared.networks.preparing import AsTheyAre
from components.shared.training.rows import MemoryRows, TrainingRows

_ROWS = 32
"""Rows that are encoded at once."""


def what_learns(network: Classifier, rows: TrainingRows) -> tuple[Classifier, TrainingRows]:
    """The part of a network that is to be trained, and what that part takes in place of the rows.

    They are the network and the rows, unless it has a frozen encoder: then its head, whose weights
    are the network's own, and the embeddings of the rows, which are kept in memory.

    Args:
        network: on the device of the rows.
        rows: without a teacher's logits.
    """
    body = network.body
    if not isinstance(body, SentenceClassifier):
        return network, rows
    progress = events.Progress("embedding", total=len(rows), unit="rows")
    embeddings, positions = [], []
    with torch.inference_mode():
        for batch in rows.in_order(_ROWS):
            embeddings.append(body.encoder(network.preprocess(batch.inputs)))
            positions.append(batch.positions)
            progress.update(sum(map(len, embeddings)))
    learned = MemoryRows(
        torch.cat(embeddings).clone(), rows.labels().to(rows.device), (), torch.cat(positions)
    )
    return Classifier(AsTheyAre((body.encoder.dims,)), body.head), learned
