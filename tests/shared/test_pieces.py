"""A data set in pieces: how it is cut, shared among readers, and read."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.shared.dataset import SPLITS, Dataset, DatasetManifest, SplitName
from components.shared.errors import UserError
from components.shared.manifest import Shard
from components.shared.pieces import Piece, pieces_of, share_of
from components.shared.recipe import TabularInput
from tests.datasets import BY_COLUMN, RANDOM, ROWS, Section, places, resolved, write_dataset

COUNTS = st.lists(st.integers(0, 50), max_size=8)
SIZES = st.integers(1, 20)


def manifest_of(counts: list[int]) -> DatasetManifest:
    """Of files with these numbers of rows."""
    return DatasetManifest(
        source="data",
        id="id",
        label="label",
        input=TabularInput(columns=["a"]),
        classes=["x", "y"],
        column_types={},
        shards=[Shard(path=f"{n}", rows=rows, bytes=0, sha256="") for n, rows in enumerate(counts)],
        assignment=None,
        split_column="split",
        split_seed=None,
        rows={"labelled": 0, "unlabelled": 0, "test": 0},
        digest="",
    )


@given(COUNTS, SIZES)
def test_pieces_hold_every_row_once_and_in_order(counts: list[int], rows: int) -> None:
    pieces = pieces_of(manifest_of(counts), rows)
    held = [(piece.shard, row) for piece in pieces for row in range(piece.start, piece.stop)]
    assert held == [(shard, row) for shard, count in enumerate(counts) for row in range(count)]
    assert all(1 <= piece.rows <= rows for piece in pieces)
    assert len(pieces) == sum(-(-count // rows) for count in counts)


@given(COUNTS, SIZES, st.integers(1, 6))
def test_shares_are_successive_disjoint_and_nearly_equal(
    counts: list[int], rows: int, readers: int
) -> None:
    pieces = pieces_of(manifest_of(counts), rows)
    shares = [share_of(pieces, reader, readers) for reader in range(readers)]
    assert [piece for share in shares for piece in share] == pieces
    equal = sum(counts) / readers
    for share in shares:
        assert abs(sum(piece.rows for piece in share) - equal) <= rows


@pytest.fixture(scope="module", params=[RANDOM, BY_COLUMN], ids=["random", "column"])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """120 rows in 3 files, with row groups of 7 rows."""
    split: Section = request.param
    return write_dataset(tmp_path_factory.mktemp("pieces"), files=3, group=7, split=split)


@settings(max_examples=40)
@given(st.data())
def test_any_pieces_in_any_order_have_the_rows_of_the_data(
    dataset: Dataset, data: st.DataObject
) -> None:
    pieces = pieces_of(dataset.manifest, data.draw(st.integers(1, 50)))
    some = data.draw(st.lists(st.sampled_from(pieces), max_size=6))
    splits: list[SplitName] = data.draw(
        st.lists(st.sampled_from(SPLITS), min_size=1, max_size=3, unique=True)
    )
    whole = dataset.load(*splits)
    found = list(dataset.read_pieces(some, *splits))
    assert len(found) == len(some)
    for piece, rows in zip(some, found, strict=True):
        first = piece.shard * ROWS // 3
        inside = (whole.positions >= first + piece.start) & (whole.positions < first + piece.stop)
        assert rows.positions.tolist() == whole.positions[inside].tolist()
        assert rows.ids == [f"r{position}" for position in rows.positions]
        assert (rows.inputs == whole.inputs[inside]).all()
        assert (rows.labels == whole.labels[inside]).all()
        assert (rows.splits == whole.splits[inside]).all()


def test_only_files_with_some_of_the_rows_are_needed(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, files=4)
    pieces = pieces_of(dataset.manifest, 10)
    for number in (0, 1, 3):
        places(dataset)[number].unlink()
    wanted = [piece for piece in pieces if piece.shard == 2]
    found = list(dataset.read_pieces(wanted, *SPLITS))
    assert len(found) == 3
    with pytest.raises(UserError, match=r"03\.parquet: this shard of .* is gone"):
        list(dataset.read_pieces([*wanted, pieces[-1]], *SPLITS))


def test_only_row_groups_with_some_of_the_rows_are_decoded(tmp_path: Path) -> None:
    """A row group whose features cannot be decoded, which resolving does not look at."""
    whole = write_dataset(tmp_path / "whole", group=40)
    (path,) = places(whole)
    content = bytearray(path.read_bytes())
    pages = pq.read_metadata(path).row_group(1).column(1).dictionary_page_offset
    content[pages : pages + 20] = b"\xff" * 20
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "rows.parquet").write_bytes(content)
    damaged = resolved(tmp_path / "damaged", tmp_path / "dataset")

    readable = [Piece(0, 0, 40), Piece(0, 80, 120)]
    expected = whole.read_pieces(readable, *SPLITS)
    for found, rows in zip(damaged.read_pieces(readable, *SPLITS), expected, strict=True):
        assert (found.inputs == rows.inputs).all()
    with pytest.raises(UserError, match=r"rows\.parquet: this Parquet file is damaged"):
        list(damaged.read_pieces([Piece(0, 79, 80)], *SPLITS))
