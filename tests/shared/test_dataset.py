"""Reading a data set: whole, and in batches."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from components.shared.blocks import read_blocks
from components.shared.dataset import SPLITS, Dataset, Rows, SplitName
from components.shared.errors import UserError
from tests.datasets import BY_COLUMN, RANDOM, ROWS, Section, places, resolved, table, write_dataset

MakeDataset = Callable[..., Dataset]


@pytest.fixture
def make(tmp_path: Path) -> MakeDataset:
    """Writes and resolves rows; see :func:`write_dataset`."""
    return lambda *rows, **fields: write_dataset(
        tmp_path / f"{len(list(tmp_path.iterdir()))}", *rows, **fields
    )


def joined(batches: list[Rows]) -> tuple[list[str], np.ndarray, np.ndarray, list[Any]]:
    return (
        [name for batch in batches for name in batch.ids],
        np.concatenate([batch.inputs for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
        [value for batch in batches for value in batch.columns["place"].to_pylist()],
    )


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    files=st.integers(1, 5),
    group=st.integers(1, ROWS),
    rows=st.integers(1, ROWS + 20),
    split=st.sampled_from(SPLITS),
    section=st.sampled_from([RANDOM, BY_COLUMN]),
    id_column=st.sampled_from(["id", "@position"]),
)
def test_batches_together_are_what_load_gives(
    make: MakeDataset,
    files: int,
    group: int,
    rows: int,
    split: SplitName,
    section: Section,
    id_column: str,
) -> None:
    # A random split goes by the id, and so not by the files.
    dataset = make(files=files, group=group, split=section, id=id_column)
    batches = list(dataset.batches(split, rows=rows, columns=["place"]))
    assert all(len(batch) == rows for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= rows
    ids, inputs, labels, places = joined(batches)

    loaded = make(split=section, id=id_column).load(split)
    assert ids == loaded.ids
    assert (inputs == loaded.inputs).all()
    assert (labels == loaded.labels).all()
    numbers = [int(name.removeprefix("row-").removeprefix("r")) for name in ids]
    assert places == table()["place"].take(numbers).to_pylist()
    assert inputs[:, 0] == pytest.approx(table()["a"].take(numbers).to_numpy())


def test_labels_of_the_unlabelled_split_are_hidden_in_batches_too(make: MakeDataset) -> None:
    strange = table().set_column(3, "label", pa.array(["x", "y", "never read"] * (ROWS // 3)))
    folds = pa.array(["labelled", "test", "unlabelled"] * (ROWS // 3))
    dataset = make(strange.set_column(4, "fold", folds), split=BY_COLUMN)
    hidden = [label for batch in dataset.batches("unlabelled") for label in batch.labels]
    assert hidden == [-1] * (ROWS // 3)


def test_categories_are_read_as_their_values(make: MakeDataset) -> None:
    plain = make(files=3)
    encoded = table().set_column(3, "label", table()["label"].dictionary_encode())
    encoded = encoded.set_column(5, "place", encoded["place"].dictionary_encode())
    for found, expected in zip(
        make(encoded, files=3).batches("test", rows=7, columns=["place"]),
        plain.batches("test", rows=7, columns=["place"]),
        strict=True,
    ):
        assert found.ids == expected.ids
        assert (found.labels == expected.labels).all()
        assert found.columns["place"].to_pylist() == expected.columns["place"].to_pylist()


def test_type_of_a_column_does_not_depend_on_the_file(tmp_path: Path) -> None:
    """Whole numbers in the first file, others in the second."""
    halves = [table().slice(0, 60), table().slice(60)]
    halves[1] = halves[1].set_column(2, "b", pa.array(np.arange(60) + 0.5))
    (tmp_path / "mixed").mkdir()
    for number, half in enumerate(halves):
        pq.write_table(half, tmp_path / "mixed" / f"{number}.parquet")
    dataset = resolved(tmp_path / "mixed", tmp_path / "dataset")
    kinds = {values.schema.field("b").type for values in dataset.values("test", ["b"])}
    assert kinds == {pa.float64()}


def test_values_are_the_columns_of_the_split_in_order(make: MakeDataset) -> None:
    dataset = make(files=4)
    found = pa.concat_tables(dataset.values("test", ["place", "id"]))
    assert found.column_names == ["place", "id"]
    assert found["id"].to_pylist() == dataset.load("test").ids


def test_split_without_rows_has_no_batches(make: MakeDataset) -> None:
    labelled = table().set_column(3, "label", pa.array(["x", "y"] * (ROWS // 2)))
    dataset = make(labelled, split={"by": "random", "test": 0.5})
    assert list(dataset.batches("unlabelled", rows=7)) == []
    assert dataset.load("unlabelled").inputs.shape == (0, 2)


def test_strange_label_is_named_with_file_and_row(make: MakeDataset) -> None:
    labels = ["x", "y"] * (ROWS // 2)
    labels[70] = "z"
    rows = table().set_column(3, "label", pa.array(labels))
    folds = pa.array((["labelled"] + ["test"] * 4) * (ROWS // 5))
    rows = rows.set_column(4, "fold", folds.take(pa.array((np.arange(ROWS) + 1) % ROWS)))
    dataset = make(rows, files=2, split=BY_COLUMN, classes=["x", "y"])
    for read in (lambda: list(dataset.batches("test", rows=7)), lambda: dataset.load("test")):
        with pytest.raises(
            UserError, match=r"01\.parquet: row 10 \(id 'r70'\): label 'z' is not one of .* x, y"
        ):
            read()


@pytest.mark.parametrize(
    ("sensitive", "message"),
    [
        ([], "row 10 (id 'r70'): place is 'nowhere', which is not one of its categories here, "),
        (["id"], "row 10: place is 'nowhere', which is not one of its categories here, there; "),
        (["place"], "row 10 (id 'r70'): place has a value that is not one of its categories; add"),
        (["place", "id"], "row 10: place has a value that is not one of its categories; add it"),
    ],
)
def test_message_about_a_row_has_no_value_of_a_sensitive_column(
    make: MakeDataset, tmp_path: Path, sensitive: list[str], message: str
) -> None:
    towns = ["here", "there"] * (ROWS // 2)
    towns[70] = "nowhere"
    rows = table().set_column(5, "place", pa.array(towns))
    rows = rows.set_column(4, "fold", pa.array(["labelled"] * ROWS))
    column = {
        "name": "place",
        "kind": "categorical",
        "categories": ["here", "there"],
        "unknown": "error",
    }
    picked = {"kind": "tabular", "columns": ["a", column]}
    made = make(rows, files=2, split=BY_COLUMN, input=picked).manifest
    dataset = Dataset(tmp_path, made.model_copy(update={"sensitive": sensitive}))
    with pytest.raises(UserError) as raised:
        dataset.load("labelled")
    assert f"01.parquet: {message}" in str(raised.value)


def test_bad_image_is_named_with_file_and_row(make: MakeDataset) -> None:
    buffer = io.BytesIO()
    Image.new("L", (3, 2)).save(buffer, "png")
    images = [buffer.getvalue()] * 20
    images[15] = b"no image"
    rows = pa.table(
        {
            "id": range(20),
            "image": images,
            "label": ["x", "y"] * 10,
            "fold": ["labelled"] * 2 + ["test"] * 18,
        }
    )
    picture = {"kind": "image", "column": "image", "size": [1, 2, 3]}
    dataset = make(rows, files=2, input=picture, split=BY_COLUMN, slices=[])
    batches = dataset.batches("test", rows=4)
    assert next(batches).inputs.shape == (4, 1, 2, 3)
    with pytest.raises(UserError, match=r"01\.parquet: row 5 \(id '15'\): image cannot be decoded"):
        list(batches)


def test_damaged_file_is_noticed_before_any_of_its_rows_is_given_out(make: MakeDataset) -> None:
    dataset = make(files=3, split=BY_COLUMN)
    last = places(dataset)[-1]
    whole = last.read_bytes()
    for content, message in (
        (flipped(whole), r"02\.parquet: the content changed after the data set was resolved"),
        (whole[:-1], r"02\.parquet: the content changed after"),
        (places(dataset)[0].read_bytes(), r"02\.parquet: the content changed after"),
        (None, r"02\.parquet: this shard of .* is gone"),
    ):
        last.unlink()
        if content is not None:
            last.write_bytes(content)
        found: list[str] = []
        rows = dataset.batches(*SPLITS, rows=1)
        with pytest.raises(UserError, match=message):
            found.extend(batch.ids[0] for batch in rows)
        fold = table()["fold"].to_pylist()
        assert found == [f"r{row}" for row in range(80) if fold[row]]


def flipped(content: bytes) -> bytes:
    """With one bit that is another."""
    changed = bytearray(content)
    changed[10] ^= 1
    return bytes(changed)


def test_file_that_changes_while_it_is_read_is_noticed(make: MakeDataset, tmp_path: Path) -> None:
    dataset = make(split=BY_COLUMN)
    blocks = read_blocks(dataset.manifest, tmp_path, ["a"], 5)
    next(blocks)
    path = places(dataset)[0]
    path.write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"00\.parquet: the content changes while it is read"):
        next(blocks)


def test_rows_know_their_place_in_the_data_and_their_split(make: MakeDataset) -> None:
    dataset = make(files=4, split=BY_COLUMN)
    rows = dataset.load(*SPLITS)
    assert rows.ids == [f"r{position}" for position in rows.positions]
    folds = table()["fold"].take(rows.positions).to_pylist()
    assert [SPLITS[number] for number in rows.splits] == folds


def test_file_that_is_replaced_after_it_was_checked_ahead_is_noticed(
    make: MakeDataset, tmp_path: Path
) -> None:
    """While one file is read, the next one is checked; then it may wait for long."""
    dataset = make(files=2, split=BY_COLUMN)
    blocks = read_blocks(dataset.manifest, tmp_path, ["a"], 1)
    for _ in range(ROWS // 2):
        next(blocks)
    second = places(dataset)[1]
    other = pq.read_table(second)
    pq.write_table(other.set_column(1, "a", pa.array([7.0] * len(other))), second)
    with pytest.raises(UserError, match=r"01\.parquet: the content changed"):
        next(blocks)


def test_files_that_differ_in_whether_a_value_may_miss_are_one_table(tmp_path: Path) -> None:
    halves = [table().slice(0, 60), table().slice(60)]
    strict = pa.schema([field.with_nullable(field.name != "id") for field in table().schema])
    (tmp_path / "data").mkdir()
    pq.write_table(halves[0].cast(strict), tmp_path / "data" / "0.parquet")
    pq.write_table(halves[1], tmp_path / "data" / "1.parquet")
    dataset = resolved(tmp_path / "data", tmp_path / "dataset")
    assert dataset.table()["id"].to_pylist() == table()["id"].to_pylist()
