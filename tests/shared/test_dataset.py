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

from components.data_validation.resolve import resolve
from components.shared.dataset import SPLITS, Dataset, Rows, SplitName
from components.shared.errors import UserError
from components.shared.recipe import DataSpec, parse_section

ROWS = 120
Section = dict[str, Any]
RANDOM: Section = {"by": "random", "unlabelled": 0.3, "test": 0.3}
BY_COLUMN: Section = {"by": "column", "column": "fold"}

MakeDataset = Callable[..., Dataset]


def table() -> pa.Table:
    """Rows with holes: labels that are missing, and rows that are in no split."""
    generator = np.random.default_rng(0)
    return pa.table(
        {
            "id": [f"r{row}" for row in range(ROWS)],
            "a": generator.normal(size=ROWS),
            "b": generator.integers(0, 9, ROWS),
            "label": [("x", "y", None)[row % 3] if row % 5 else "y" for row in range(ROWS)],
            "fold": generator.choice(["labelled", "unlabelled", "test", None], ROWS).tolist(),
            "place": generator.choice(["here", "there"], ROWS),
        }
    )


@pytest.fixture
def make(tmp_path: Path) -> MakeDataset:
    """Writes rows in some files, of one row group for each ``group`` rows, and resolves them."""

    def make(
        rows: pa.Table | None = None, files: int = 1, group: int = ROWS, **fields: Any
    ) -> Dataset:
        root = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        (root / "data").mkdir(parents=True)
        whole = table() if rows is None else rows
        for number in range(files):
            low, high = (len(whole) * edge // files for edge in (number, number + 1))
            path = root / "data" / f"{number:02}.parquet"
            pq.write_table(whole.slice(low, high - low), path, row_group_size=group)
        section = {
            "uri": str(root / "data"),
            "input": {"kind": "tabular", "columns": ["a", "b"]},
            "split": RANDOM,
            "slices": ["place", "b"],
            **fields,
        }
        resolve(parse_section(DataSpec, section, "data"), root / "dataset")
        return Dataset.open(root / "dataset")

    return make


def joined(batches: list[Rows]) -> tuple[list[str], np.ndarray, np.ndarray, list[Any]]:
    return (
        [name for batch in batches for name in batch.ids],
        np.concatenate([batch.inputs for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
        [value for batch in batches for value in batch.columns["place"].to_pylist()],
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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


def test_type_of_a_column_does_not_depend_on_the_file(make: MakeDataset, tmp_path: Path) -> None:
    """Whole numbers in the first file, others in the second."""
    halves = [table().slice(0, 60), table().slice(60)]
    halves[1] = halves[1].set_column(2, "b", pa.array(np.arange(60) + 0.5))
    (tmp_path / "mixed").mkdir()
    for number, half in enumerate(halves):
        pq.write_table(half, tmp_path / "mixed" / f"{number}.parquet")
    dataset = make(uri=str(tmp_path / "mixed"))
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


def test_change_of_the_files_is_noticed_before_the_first_row(make: MakeDataset) -> None:
    dataset = make(files=3)
    last = Path(dataset.manifest.shards[-1].path)
    content = bytearray(last.read_bytes())
    content[10] ^= 1
    last.write_bytes(content)
    with pytest.raises(UserError, match=r"02\.parquet: the content changed after"):
        next(dataset.batches("test"))
    last.unlink()
    with pytest.raises(UserError, match=r"02\.parquet: this shard of .* is gone"):
        next(dataset.batches("test"))
