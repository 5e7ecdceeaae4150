"""Training rows in memory and in a record file: the same rows, each in its own seeded order."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from components.shared.errors import StorageFailed, UserError
from components.shared.training.rows import MemoryRows, TrainingRows
from components.shared.training.rows.cache import open_records
from components.shared.training.rows.layout import LossyError, RecordLayout
from components.shared.training.rows.record_file import RECORDS, RecordFile, write_records
from components.shared.training.rows.record_rows import RecordRows
from tests.disks import without_rights

ROWS, SHAPE, VIEWS, CLASSES = 5_000, (3, 16, 16), 2, 4
LAYOUT = RecordLayout(shape=SHAPE, inputs="uint8", views=VIEWS, classes=CLASSES, logits="float16")
RNG = np.random.default_rng(0)
INPUTS = RNG.integers(0, 256, (ROWS, *SHAPE)).astype(np.float32)
INPUTS[:, 0, 0, 0], INPUTS[:, 0, 0, 1] = np.divmod(np.arange(ROWS), 256)
LABELS = RNG.integers(-1, CLASSES, ROWS)
LOGITS = RNG.normal(size=(ROWS, VIEWS, CLASSES)).astype(np.float16).astype(np.float32)
POSITIONS = np.arange(ROWS) + 7


def write(folder: Path, layout: RecordLayout = LAYOUT) -> None:
    parts = np.array_split(np.arange(ROWS), 9)
    write_records(
        folder,
        layout,
        (layout.pack(INPUTS[part], LABELS[part], LOGITS[part], POSITIONS[part]) for part in parts),
    )


@pytest.fixture(scope="module")
def in_file(tmp_path_factory: pytest.TempPathFactory) -> RecordRows:
    folder = tmp_path_factory.mktemp("records")
    write(folder)
    return RecordRows(RecordFile(folder), torch.device("cpu"))


@pytest.fixture(scope="module")
def in_memory() -> MemoryRows:
    views = torch.from_numpy(LOGITS).unbind(dim=1)
    return MemoryRows(
        torch.from_numpy(INPUTS), torch.from_numpy(LABELS), views, torch.from_numpy(POSITIONS)
    )


@pytest.fixture(params=["file", "memory"])
def rows(
    request: pytest.FixtureRequest, in_file: RecordRows, in_memory: MemoryRows
) -> TrainingRows:
    return in_file if request.param == "file" else in_memory


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def positions(rows: TrainingRows, batches: int, seed: int = 0, size: int = 100) -> list[int]:
    source = rows.shuffled(size, seeded(seed))
    return torch.cat([source.next().positions for _ in range(batches)]).tolist()


def test_fields_of_a_row_stay_together(rows: TrainingRows) -> None:
    source = rows.shuffled(64, seeded())
    for view in (0, 1, 0):
        batch = source.next(view)
        found = batch.positions.numpy() - 7
        np.testing.assert_array_equal(batch.inputs.numpy(), INPUTS[found])
        np.testing.assert_array_equal(batch.labels.numpy(), LABELS[found])
        np.testing.assert_array_equal(batch.teacher_logits.numpy(), LOGITS[found, view])


def test_every_row_is_seen_once_an_epoch_and_each_epoch_has_its_order(rows: TrainingRows) -> None:
    first, second = (np.reshape(positions(rows, 100), (2, ROWS))[epoch] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == POSITIONS.tolist()
    assert list(first) != list(second)


def test_short_last_batches_are_left_out(rows: TrainingRows) -> None:
    found = positions(rows, 14, size=700)
    for epoch in (found[:4900], found[4900:]):
        assert len(set(epoch)) == 4900


def test_seed_decides_the_order(rows: TrainingRows) -> None:
    assert positions(rows, 60, seed=1) == positions(rows, 60, seed=1)
    assert positions(rows, 60, seed=1) != positions(rows, 60, seed=2)


def test_rows_of_a_batch_come_from_all_over_the_data(rows: TrainingRows) -> None:
    batch = np.asarray(positions(rows, 1))
    assert len(np.unique(batch // 500)) > 7


@pytest.mark.parametrize("done", [0, 1, 49, 50, 51, 77])
def test_reading_goes_on_in_the_middle(rows: TrainingRows, done: int) -> None:
    generator = seeded()
    source = rows.shuffled(100, generator)
    for _ in range(done):
        source.next()
    state, drawn = source.state(), generator.get_state()
    expected = [source.next().positions.tolist() for _ in range(60)]
    generator = seeded()
    again = rows.shuffled(100, generator)
    again.restore(state)
    generator.set_state(drawn)
    assert [again.next().positions.tolist() for _ in range(60)] == expected


def test_parts_are_those_rows_and_no_others(rows: TrainingRows) -> None:
    mask = torch.from_numpy(LABELS == 2)
    part = rows.part(mask)
    assert len(part) == int(mask.sum())
    expected = POSITIONS[LABELS == 2].tolist()
    assert [p for batch in part.in_order(64) for p in batch.positions.tolist()] == expected
    batches = len(part) // 100
    assert set(positions(part, batches)) <= set(expected)
    numbers = torch.tensor([5, 3, 11])
    (batch,) = part.part(numbers).in_order(10)
    assert sorted(batch.positions.tolist()) == sorted(expected[n] for n in (3, 5, 11))


def test_labelled_rows_are_those_with_a_label(rows: TrainingRows) -> None:
    labelled = rows.labelled()
    np.testing.assert_array_equal(labelled.labels().numpy(), LABELS[LABELS >= 0])
    np.testing.assert_array_equal(rows.labels().numpy(), LABELS)
    assert labelled.labelled() is labelled or len(labelled.labelled()) == len(labelled)


def test_rows_in_their_order_come_in_batches_of_the_size(rows: TrainingRows) -> None:
    batches = list(rows.in_order(1_200))
    assert [len(batch.labels) for batch in batches] == [1_200] * 4 + [200]
    assert torch.cat([batch.positions for batch in batches]).tolist() == POSITIONS.tolist()


@pytest.mark.parametrize(
    ("field", "spoil"),
    [
        ("inputs", lambda inputs: inputs + 0.5),
        ("inputs", lambda inputs: inputs + 1),
        ("inputs", lambda inputs: np.where(inputs > 250, np.nan, inputs)),
        ("logits", lambda logits: logits * 1.0001),
        ("logits", lambda logits: logits * 1e6),
    ],
)
def test_nothing_is_packed_with_a_loss(
    field: str, spoil: Callable[[np.ndarray], np.ndarray]
) -> None:
    fields = {"inputs": INPUTS, "logits": LOGITS, "labels": LABELS, "positions": POSITIONS}
    fields[field] = spoil(fields[field]).astype(np.float32)
    with pytest.raises(LossyError) as found:
        LAYOUT.pack(**fields)
    wider = LAYOUT.model_copy(update={found.value.field: "float32"})
    np.testing.assert_array_equal(wider.pack(**fields)[field], fields[field])


# The node's cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBEDISTILL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def rows_of(file: RecordFile) -> list[int]:
    return [p for chunk in range(file.chunks) for p in file.read([chunk])["position"].tolist()]


def test_records_are_written_once(cache: Path) -> None:
    calls = []

    def once(folder: Path, ask_for_room: Callable[[int], None]) -> None:
        calls.append(folder)
        write(folder)

    first, second = open_records("key", once), open_records("key", once)
    assert len(calls) == 1
    assert rows_of(first) == rows_of(second) == POSITIONS.tolist()


def test_writer_that_failed_leaves_nothing(cache: Path) -> None:
    def breaks(folder: Path, ask_for_room: Callable[[int], None]) -> None:
        write(folder)
        raise UserError("row 'x' has no label")

    with pytest.raises(UserError, match="row 'x' has no label"):
        open_records("key", breaks)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_damaged_records_are_never_read_and_made_anew(cache: Path, damage: str) -> None:
    file = open_records("key", lambda folder, _: write(folder))
    records = file.folder / RECORDS
    content = bytearray(records.read_bytes())
    content[len(content) // 2] ^= 1
    records.write_bytes(content if damage == "flip" else content[:-1])
    with pytest.raises(StorageFailed, match="damaged"):
        rows_of(open_records("key", lambda folder, _: write(folder)))
    assert rows_of(open_records("key", lambda folder, _: write(folder))) == POSITIONS.tolist()


def test_damaged_index_counts_as_absent(cache: Path) -> None:
    file = open_records("key", lambda folder, _: write(folder))
    index = file.folder / "index"
    index.write_text(index.read_text().replace(f'"rows":{ROWS}', f'"rows":{ROWS - 1}'))
    again = open_records("key", lambda folder, _: write(folder))
    assert rows_of(again) == POSITIONS.tolist()


def test_oldest_records_make_room(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = ROWS * LAYOUT.dtype.itemsize
    monkeypatch.setenv("KUBEDISTILL_CACHE_BYTES", str(int(2.5 * size)))

    def roomy(folder: Path, ask_for_room: Callable[[int], None]) -> None:
        ask_for_room(size)
        write(folder)

    first = open_records("first", roomy)
    for key in ("second", "first", "third"):
        last = open_records(key, roomy)
    there = {path.name for path in last.folder.parent.iterdir() if path.is_dir()}
    assert there == {"first", "third"}
    assert rows_of(first) == POSITIONS.tolist()


def test_folder_that_may_not_be_written_is_told_with_what_to_do(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with (
        without_rights(cache),
        pytest.raises(UserError, match="cannot be kept here .*; set KUBEDISTILL_CACHE_DIR"),
    ):
        open_records("key", lambda folder, _: write(folder))


def test_part_without_rows_has_no_labels(in_file: RecordRows) -> None:
    assert in_file.part(torch.zeros(ROWS, dtype=torch.bool)).labels().tolist() == []


def test_full_disk_is_told_with_the_bytes_that_are_needed(cache: Path) -> None:
    def huge(folder: Path, ask_for_room: Callable[[int], None]) -> None:
        ask_for_room(2**60)

    with pytest.raises(UserError, match="1,152,921,504,606,846,976 bytes are needed for the train"):
        open_records("key", huge)
