"""The soft-label step, free of KFP."""

from pathlib import Path

from components.shared import events
from components.shared.bundle import check_classes, check_input, load_network
from components.shared.dataset import Dataset
from components.shared.device import compute_device
from components.shared.storage import open_storage
from components.soft_labels.labelling import label_rows, store_identity


def generate_soft_labels(
    dataset: Path, dataset_digest: str, teacher: Path, teacher_digest: str, store_uri: str
) -> str:
    """Label all training rows with the teacher; return the identity of the store.

    Raises:
        SystemExit: with status 2, where the teacher does not fit the data set.
    """
    with events.step("generate_soft_labels"):
        data = Dataset.open(dataset, dataset_digest)
        bundle, network = load_network(teacher, teacher_digest)
        check_classes(bundle, data.manifest.classes)
        check_input(bundle, data.manifest.input)
        identity = store_identity(bundle, data.manifest.digest)
        label_rows(
            network.to(compute_device()),
            data.load("labelled", "unlabelled"),
            identity,
            open_storage(store_uri),
        )
    return identity.digest
