"""Fresh rows: which are kept, what is said of the others, and what is refused."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from components.data_validation import steps
from components.data_validation.fresh.collect import fresh_rows
from components.data_validation.fresh.selection import select
from components.data_validation.fresh.spec import FreshRowsSpec
from components.data_validation.resolve import resolve
from components.data_validation.validate import validate
from components.shared.dataset import UNLABELLED, Dataset
from components.shared.deployable import DEPLOYABLE, INPUT_NAME, ONNX_FILE, OUTPUT_NAME, Deployable
from components.shared.errors import UserError
from components.shared.files import sha256_file, write_atomically
from components.shared.recipe import DataSpec, TabularInput, ValidationSpec
from components.shared.registered import RegisteredModel
from components.shared.results import CHAMPION_RECORD, ChampionRecord, FreshRows
from components.shared.storage import open_storage

REGISTERED = datetime(2026, 11, 1, 12, tzinfo=UTC)
CLASSES = ["x", "y", "z"]
NAN, INFINITY = float("nan"), float("inf")


def write_model(folder: Path, version: str, digest: str, recipe: dict[str, Any] | None) -> Path:
    """What fetch_version leaves of a version: a model that takes the columns a and b."""
    folder.mkdir(parents=True)
    graph = helper.make_graph(
        [helper.make_node("Softmax", [INPUT_NAME], [OUTPUT_NAME])],
        "model",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["rows", 3])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["rows", 3])],
    )
    onnx.save(helper.make_model(graph), folder / ONNX_FILE)
    deployable = Deployable(
        role="student",
        input=TabularInput(columns=["a", "b"]),
        classes=CLASSES,
        parameters=1,
        dataset_digest=digest,
        bundle_digest="b" * 64,
        teacher_digest=None,
        max_difference=0.0,
        checked_rows=1,
        onnx_sha256=sha256_file(folder / ONNX_FILE),
    )
    write_atomically(folder / DEPLOYABLE, deployable.model_dump_json())
    record = ChampionRecord(
        state="present", version=version, registered_at=REGISTERED, recipe=recipe
    )
    write_atomically(folder / CHAMPION_RECORD, record.model_dump_json())
    return folder


@pytest.fixture
def trained_on(
    tmp_path: Path, columns: dict[str, list[Any]], spec: Callable[..., DataSpec]
) -> tuple[DataSpec, str]:
    """A data set of 60 rows that both models were trained and tested on, and its digest."""
    path = tmp_path / "training" / "data.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table(columns), path)
    data = spec(path)
    return data, resolve(data, tmp_path / "resolved").digest


@pytest.fixture
def folders(tmp_path: Path, trained_on: tuple[DataSpec, str]) -> dict[str, Path]:
    data, digest = trained_on
    recipe = {"data": data.model_dump(mode="json")}
    return {
        "champion": write_model(tmp_path / "models" / "2", "2", digest, recipe),
        "challenger": write_model(tmp_path / "models" / "3", "3", digest, recipe),
    }


@pytest.fixture
def collect(
    tmp_path: Path, folders: dict[str, Path], write: Callable[..., Path]
) -> Callable[..., FreshRows]:
    """Collects rows that are given as columns, or as a place."""

    def run(data: dict[str, Any] | Path | str, **fields: Any) -> FreshRows:
        uri = write(data, "fresh.parquet") if isinstance(data, dict) else data
        return fresh_rows(
            FreshRowsSpec(uri=str(uri), **fields),
            RegisteredModel.read("champion", folders["champion"]),
            RegisteredModel.read("challenger", folders["challenger"]),
            tmp_path / "fresh",
        )

    return run


def arrived(count: int = 6, **columns: Any) -> dict[str, Any]:
    """Rows of the day after the challenger was registered, with ids that are new."""
    values = np.random.default_rng(5).normal(size=(2, count))
    return {
        "id": [f"new-{row}" for row in range(count)],
        "a": values[0].tolist(),
        "b": values[1].tolist(),
        "label": [("x", None, "z")[row % 3] for row in range(count)],
        "at": [REGISTERED + timedelta(days=1, minutes=row) for row in range(count)],
        **columns,
    }


def test_rows_with_and_without_a_label_become_a_data_set(
    collect: Callable[..., FreshRows], tmp_path: Path
) -> None:
    found = collect(arrived(6))
    assert (found.labelled, found.unlabelled, found.found) == (4, 2, 6)
    assert (found.id_column, found.label_column) == ("id", "label")
    dataset = Dataset.open(tmp_path / "fresh", found.digest)
    (rows,) = dataset.batches("test", "unlabelled")
    assert rows.ids == [f"new-{row}" for row in range(6)]
    assert rows.labels.tolist() == [0, UNLABELLED, 2, 0, UNLABELLED, 2]


def test_what_was_written_is_what_is_returned(
    collect: Callable[..., FreshRows], tmp_path: Path
) -> None:
    found = collect(arrived(), time="at")
    assert FreshRows.model_validate_json((tmp_path / "fresh" / "fresh_rows.json").read_text()) == (
        found
    )


def test_without_a_label_column_no_row_has_a_label(
    collect: Callable[..., FreshRows], tmp_path: Path
) -> None:
    rows = arrived()
    del rows["label"]
    found = collect(rows)
    assert (found.labelled, found.unlabelled, found.label_column) == (0, 6, None)
    (batch,) = Dataset.open(tmp_path / "fresh").batches("test", "unlabelled")
    assert set(batch.labels.tolist()) == {UNLABELLED}


def test_missing_label_may_be_nan(collect: Callable[..., FreshRows]) -> None:
    rows = arrived(3, outcome=[float("nan"), None, float("nan")])
    found = collect(rows, label="outcome")
    assert (found.labelled, found.unlabelled) == (0, 3)


def test_without_an_id_column_rows_are_named_by_position(
    collect: Callable[..., FreshRows], tmp_path: Path
) -> None:
    rows = arrived()
    del rows["id"]
    found = collect(rows)
    (batch,) = Dataset.open(tmp_path / "fresh").batches("test", "unlabelled")
    assert batch.ids[0] == "row-0"
    assert found.id_column is None
    assert {known.why_unknown for known in found.known} == {
        "the fresh rows have no ids, only positions"
    }


def test_files_of_a_folder_are_read_in_order_and_stay_where_they_are(
    collect: Callable[..., FreshRows], tmp_path: Path, write: Callable[..., Path]
) -> None:
    for name in ("b", "a"):
        rows = arrived(2, id=[f"{name}-0", f"{name}-1"])
        write(rows, f"landing/{name}.parquet")
    found = collect(tmp_path / "landing")
    dataset = Dataset.open(tmp_path / "fresh")
    assert found.found == 4
    assert dataset.load("test", "unlabelled").ids == ["a-0", "a-1", "b-0", "b-1"]
    assert {Path(shard.path).parent for shard in dataset.manifest.shards} == {tmp_path / "landing"}


def test_fresh_rows_may_be_in_s3(
    collect: Callable[..., FreshRows], tmp_path: Path, write: Callable[..., Path], s3_root: str
) -> None:
    open_storage(s3_root).upload("rows.parquet", write(arrived(6), "rows.parquet"))
    found = collect(s3_root)
    assert (found.labelled, found.unlabelled, found.id_column) == (4, 2, "id")
    assert len(Dataset.open(tmp_path / "fresh").load("test", "unlabelled")) == 6


def test_rows_from_before_the_challenger_was_registered_are_left_out(
    collect: Callable[..., FreshRows],
) -> None:
    times = [REGISTERED + timedelta(seconds=second) for second in (-1, 0, 1, 2, -9, 5)]
    found = collect(arrived(6, at=times), time="at")
    assert (found.earlier, found.labelled + found.unlabelled) == (2, 4)
    assert found.since == REGISTERED
    assert (found.first, found.last) == (REGISTERED, REGISTERED + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("since", "kept"),
    [("2026-11-02T12:03:00Z", 3), ("2026-11-02T13:03:00+01:00", 3), ("2026-11-03", 0)],
)
def test_rows_since_a_moment_are_those_at_or_after_it(
    collect: Callable[..., FreshRows], since: str, kept: int
) -> None:
    if not kept:
        with pytest.raises(UserError, match=r"no row is fresh: 6 are from before 2026-11-03"):
            collect(arrived(6), time="at", since=since)
        return
    found = collect(arrived(6), time="at", since=since)
    assert found.labelled + found.unlabelled == kept


@pytest.mark.parametrize(
    "times",
    [
        [datetime(2026, 11, 5), datetime(2026, 10, 5)],
        [date(2026, 11, 5), date(2026, 10, 5)],
        ["2026-11-05T00:00:00Z", "2026-10-05 00:00"],
        pa.array(["2026-11-05", "2026-10-05"]).dictionary_encode(),
        pa.array([datetime(2026, 11, 5), datetime(2026, 10, 5)], pa.timestamp("ns", "Asia/Tokyo")),
    ],
    ids=["naive", "dates", "text", "dictionary", "zone"],
)
def test_times_may_be_written_in_many_ways(collect: Callable[..., FreshRows], times: Any) -> None:
    found = collect(arrived(2, at=times), time="at")
    assert (found.earlier, found.labelled + found.unlabelled) == (1, 1)
    assert found.first == datetime(2026, 11, 5, tzinfo=UTC)


def test_rows_without_a_time_are_left_out_and_counted(collect: Callable[..., FreshRows]) -> None:
    times = [REGISTERED, None, REGISTERED, None, REGISTERED, REGISTERED]
    assert collect(arrived(6, at=times), time="at").undated == 2


def test_rows_that_the_models_know_are_left_out_by_their_ids(
    collect: Callable[..., FreshRows], tmp_path: Path, columns: dict[str, list[Any]]
) -> None:
    ids = ["new-0", columns["id"][3], "new-2", columns["id"][59], "new-4", "new-5"]
    found = collect(arrived(6, id=ids))
    assert (found.left_out_known, found.labelled + found.unlabelled) == (2, 4)
    assert {known.role: known.rows for known in found.known} == {"champion": 2, "challenger": 2}
    kept = Dataset.open(tmp_path / "fresh").load("test", "unlabelled").ids
    assert kept == ["new-0", "new-2", "new-4", "new-5"]


def test_only_rows_of_a_split_are_known(
    tmp_path: Path,
    write: Callable[..., Path],
    collect: Callable[..., FreshRows],
    folders: dict[str, Path],
    spec: Callable[..., DataSpec],
    columns: dict[str, list[Any]],
) -> None:
    """A row that the recipe put into no split was seen by no model."""
    data = spec(
        tmp_path / "training" / "data.parquet", split={"by": "random", "labelled": 20, "test": 20}
    )
    digest = resolve(data, tmp_path / "sparse").digest
    recipe = {"data": data.model_dump(mode="json")}
    for role in ("champion", "challenger"):
        folders[role] = write_model(tmp_path / "sparse_models" / role, role[-1], digest, recipe)
    found = collect(arrived(60, id=columns["id"]))
    assert found.left_out_known == 40


def test_rows_that_are_left_after_a_quarantine_are_known_and_the_others_are_not(
    tmp_path: Path,
    write: Callable[..., Path],
    collect: Callable[..., FreshRows],
    folders: dict[str, Path],
    spec: Callable[..., DataSpec],
    columns: dict[str, list[Any]],
) -> None:
    """A model has the digest of the rows that were left; only these did it see."""
    columns["a"][3] = NAN
    data = spec(write(columns, "training/data.parquet"))
    limits = {"min_rows": 10, "policies": {"nan": "quarantine"}}
    resolve(data, tmp_path / "whole")
    result = validate(
        tmp_path / "whole",
        ValidationSpec.model_validate(limits),
        tmp_path / "result",
        tmp_path / "docs",
        checked=tmp_path / "checked",
    )
    recipe = {"data": data.model_dump(mode="json"), "validation": limits}
    for role in ("champion", "challenger"):
        folder = tmp_path / "left_models" / role
        folders[role] = write_model(folder, role[-1], result.checked_digest, recipe)
    found = collect(arrived(60, id=columns["id"]))
    assert [known.why_unknown for known in found.known] == ["", ""]
    assert found.left_out_known == 59
    kept = Dataset.open(tmp_path / "fresh").load("test", "unlabelled")
    assert kept.ids == ["r3"]


def test_known_rows_may_be_kept_without_looking_for_them(
    collect: Callable[..., FreshRows], columns: dict[str, list[Any]]
) -> None:
    found = collect(arrived(6, id=columns["id"][:6]), leave_out_known=False)
    assert (found.left_out_known, found.known, found.labelled + found.unlabelled) == (None, [], 6)


def test_data_set_that_has_changed_cannot_say_what_a_model_knows(
    collect: Callable[..., FreshRows], tmp_path: Path, columns: dict[str, list[Any]]
) -> None:
    grown = {name: [*values, values[0]] for name, values in columns.items()}
    grown["id"][-1] = "new-0"
    pq.write_table(pa.table(grown), tmp_path / "training" / "data.parquet")
    found = collect(arrived(6))
    assert found.left_out_known == 0
    assert all(known.rows is None for known in found.known)
    assert all("has changed since" in known.why_unknown for known in found.known)


def test_data_set_that_is_gone_cannot_say_what_a_model_knows(
    collect: Callable[..., FreshRows], tmp_path: Path
) -> None:
    (tmp_path / "training" / "data.parquet").unlink()
    found = collect(arrived(6))
    assert all("cannot be had any more" in known.why_unknown for known in found.known)


def test_repeated_ids_count_once(collect: Callable[..., FreshRows], tmp_path: Path) -> None:
    found = collect(arrived(4, id=["p", "q", "p", "p"]))
    assert (found.repeated, found.labelled + found.unlabelled) == (2, 2)
    assert Dataset.open(tmp_path / "fresh").load("test", "unlabelled").ids == ["p", "q"]


def test_digest_follows_the_content_and_not_the_place(
    collect: Callable[..., FreshRows], tmp_path: Path, write: Callable[..., Path]
) -> None:
    first = collect(write(arrived(), "one/rows.parquet"))
    moved = collect(write(arrived(), "two/others.parquet"))
    changed = collect(write(arrived(a=[0.0] * 6), "two/others.parquet"))
    assert first.digest == moved.digest != changed.digest


@pytest.mark.parametrize(
    ("change", "fields", "message"),
    [
        ({"a": [0, 1, None, 1, 1, 1]}, {}, r"fresh\.parquet: row 2 \(id 'new-2'\): a is missing"),
        ({"b": [0, 1, 2, NAN, INFINITY, 1]}, {}, r"row 3 .*: b is NaN; in all, 2 rows have"),
        ({"b": [1e300] * 6}, {}, r"row 0 .*: b is infinite, or too large"),
        ({"a": ["1"] * 6}, {}, r"feature column 'a' is of type string"),
        ({"label": ["x", "q", *[None] * 4]}, {}, r"row 1 .*: label 'q' is not one of .* x, y, z"),
        ({"id": ["r", None, "s", "t", "u", "v"]}, {}, r"fresh\.parquet: row 1: id, .* no value"),
        ({"at": ["2026-11-05", *["soon"] * 5]}, {"time": "at"}, r"row 1: at 'soon' is not a time"),
        ({"at": [1.0] * 6}, {"time": "at"}, r"time column 'at' is of type double, but should hold"),
        ({}, {"time": "when"}, r"no column 'when', which data uses as time"),
        ({}, {"label": "lable"}, r"no column 'lable'.*did you mean 'label'"),
        ({}, {"id": "key"}, r"no column 'key', which data uses as id"),
        ({}, {"label": "a"}, r"the label column 'a' is also a feature"),
        ({}, {"time": "label"}, r"the time column 'label' is also used as label"),
        ({}, {"since": "2026-11-05"}, r"no time column is named to tell them by"),
    ],
)
def test_error_names_column_file_and_row(
    collect: Callable[..., FreshRows],
    tmp_path: Path,
    change: dict[str, Any],
    fields: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(UserError, match=message):
        collect(arrived(6, **change), **fields)
    assert not (tmp_path / "fresh").exists()


def test_faults_of_rows_that_are_left_out_do_not_matter(collect: Callable[..., FreshRows]) -> None:
    times = [REGISTERED - timedelta(days=1), *[REGISTERED] * 5]
    rows = arrived(6, at=times, a=[float("nan"), *[1.0] * 5], label=["q", *["x"] * 5])
    assert collect(rows, time="at").labelled == 5


@pytest.mark.parametrize("name", ["nothing.parquet", "empty"])
def test_place_without_parquet_files_is_refused(
    collect: Callable[..., FreshRows], tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"fresh rows: .*(no file or folder|holds no Parquet file)"):
        collect(tmp_path / name)


def test_file_that_is_not_parquet_is_refused(
    collect: Callable[..., FreshRows], tmp_path: Path
) -> None:
    (tmp_path / "rows.parquet").write_text("a,b")
    with pytest.raises(UserError, match=r"rows\.parquet: this is not a Parquet file"):
        collect(tmp_path / "rows.parquet")


def test_step_takes_empty_texts_for_defaults_and_says_how_many_rows_there_are(
    tmp_path: Path, folders: dict[str, Path], write: Callable[..., Path]
) -> None:
    sections = {
        "uri": str(write(arrived(6), "fresh.parquet")),
        "id": "",
        "label": "",
        "time": "at",
        "since": "",
        "leave_out_known": True,
    }
    metadata = steps.collect_rows(
        sections, folders["champion"], folders["challenger"], tmp_path / "fresh"
    )
    assert metadata["labelled"] == 4
    assert metadata["digest"] == Dataset.open(tmp_path / "fresh").manifest.digest


def test_step_without_a_champion_ends_with_status_2(
    tmp_path: Path,
    folders: dict[str, Path],
    write: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    nobody = ChampionRecord(state="missing", version=None)
    write_atomically(folders["champion"] / CHAMPION_RECORD, nobody.model_dump_json())
    sections = {"uri": str(write(arrived(6), "fresh.parquet"))}
    with pytest.raises(SystemExit) as stopped:
        steps.collect_rows(sections, folders["champion"], folders["challenger"], tmp_path / "fresh")
    assert stopped.value.code == 2
    assert "there is no champion" in json.loads(capsys.readouterr().out.splitlines()[-1])["message"]


@given(st.data())
def test_every_row_is_kept_or_left_out_for_one_reason(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 20))
    ids = data.draw(st.lists(st.sampled_from("abcdef"), min_size=rows, max_size=rows))
    times = data.draw(
        st.lists(st.sampled_from([None, 1, 2, 3]), min_size=rows, max_size=rows).map(
            lambda values: np.asarray(values, "datetime64[us]")
        )
    )
    known = data.draw(st.dictionaries(st.sampled_from(["champion", "challenger"]),
                                      st.lists(st.sampled_from("abcdef"))))  # fmt: skip
    found = select(
        rows,
        pa.chunked_array([pa.array(ids)]),
        times,
        np.datetime64(2, "us"),
        {role: pa.array(values, pa.string()) for role, values in known.items()},
        leave_out_known=True,
    )
    kept = [ids[row] for row in np.flatnonzero(found.kept)]
    assert len(kept) == len(set(kept))
    assert not set(kept) & {name for values in known.values() for name in values}
    assert (times[found.kept] >= np.datetime64(2, "us")).all()
    left_out = found.earlier + found.undated + found.repeated + (found.left_out_known or 0)
    assert left_out + len(kept) == rows
