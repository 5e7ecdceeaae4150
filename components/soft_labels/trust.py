"""Whether a teacher is good enough to learn from."""

from components.shared import events
from components.shared.errors import UserError
from components.shared.soft_labels import StoreManifest


def check_accuracy(manifest: StoreManifest, least: float, who: str = "teacher") -> None:
    """Report the teacher's accuracy on the labelled rows, and refuse a teacher that is too bad.

    It is counted on the labels as they are stored, whoever stored them and when.

    Args:
        manifest: of a store, sealed or about to be.
        least: ``labelling.min_accuracy``.
        who: gave the labels.

    Raises:
        UserError: the accuracy is below ``least``, or cannot be known while ``least`` is above 0.
    """
    accuracy = manifest.accuracy
    events.emit("teacher_accuracy", accuracy=accuracy, rows=manifest.labelled, least=least)
    if least == 0:
        return
    if accuracy is None:
        raise UserError(
            f"labelling.min_accuracy is {least:g}, but there are no labelled rows to judge the "
            "teacher by"
        )
    if accuracy < least:
        raise UserError(
            f"the {who} is right in {accuracy:.4f} of the {manifest.labelled} labelled rows, "
            f"less than labelling.min_accuracy, {least:g}: nothing is learned from it; take a "
            f"better {who}, or lower the threshold"
        )
