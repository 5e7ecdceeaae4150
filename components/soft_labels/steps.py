"""The soft-label step, free of KFP."""

from pathlib import Path

import torch

from components.shared import events
from components.shared.bundle import check_classes, load_network
from components.shared.dataset import Dataset
from components.shared.storage import open_storage
from components.soft_labels.labelling import label_rows, store_identity


def generate_soft_labels(dataset: Path, teacher: Path, store_uri: str, threads: int) -> str:
    """Label all training rows with the teacher; return the identity of the store.

    Raises:
        SystemExit: with status 2, where the teacher does not fit the data set.
    """
    with events.step("generate_soft_labels"):
        torch.set_num_threads(threads)
        data = Dataset.open(dataset)
        bundle, network = load_network(teacher)
        check_classes(bundle, data.manifest.classes)
        identity = store_identity(bundle, data.manifest.digest)
        label_rows(network, data.load("labelled", "unlabelled"), identity, open_storage(store_uri))
    return identity.digest
