"""Classification metrics from probabilities and labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.shared.results import CalibrationBin, ClassResult, PairedCounts

CALIBRATION_BINS = 15

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Rows counted by true class (first index) and predicted class (second).

    Args:
        labels: class indices, shape (rows,).
        predicted: class indices, shape (rows,).
        classes: number of classes.

    Returns:
        Counts, shape (classes, classes).
    """
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def per_class(confusion: npt.NDArray[np.int64], names: Sequence[str]) -> list[ClassResult]:
    """Precision, recall and F1 of each class; ``None`` where the denominator is zero."""
    results = []
    for index, name in enumerate(names):
        right = int(confusion[index, index])
        rows = int(confusion[index].sum())
        predicted = int(confusion[:, index].sum())
        results.append(
            ClassResult(
                name=name,
                rows=rows,
                precision=right / predicted if predicted else None,
                recall=right / rows if rows else None,
                f1=2 * right / (rows + predicted) if rows + predicted else None,
            )
        )
    return results


def calibration(probabilities: Probabilities, labels: Labels) -> tuple[float, list[CalibrationBin]]:
    """Expected calibration error over 15 bins of equal width, and the bins that are not empty.

    Source: Guo et al., arXiv 1706.04599, formula 3; bin m holds confidences in ((m-1)/15, m/15].

    Args:
        probabilities: shape (rows, classes).
        labels: class indices, shape (rows,).

    Returns:
        The error, 0 to 1, and the bins in ascending order of confidence.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    position = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
    position = position.clip(0, CALIBRATION_BINS - 1)
    bins = []
    for index in np.unique(position):
        inside = position == index
        bins.append(
            CalibrationBin(
                rows=int(inside.sum()),
                confidence=float(confidence[inside].mean()),
                accuracy=float(right[inside].mean()),
            )
        )
    error = sum(b.rows * abs(b.confidence - b.accuracy) for b in bins) / len(labels)
    return float(error), bins


def paired_counts(
    student_right: npt.NDArray[np.bool_], other_right: npt.NDArray[np.bool_]
) -> PairedCounts:
    """Count the same rows by which of two models was right; both of shape (rows,)."""
    return PairedCounts(
        both=int((student_right & other_right).sum()),
        only_student=int((student_right & ~other_right).sum()),
        only_other=int((~student_right & other_right).sum()),
        neither=int((~student_right & ~other_right).sum()),
    )
