"""Rows that are taken out: none vanishes, none is seen by a later step."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data_validation.resolve import resolve
from components.data_validation.validate import validate
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.recipe import DataSpec, ValidationSpec, parse_section
from components.shared.records import read_record
from components.shared.results.profile import DATA_PROFILE, DataProfile
from tests.disks import small_disk

ALL_ROWS = {
    "missing": "quarantine",
    "nan": "quarantine",
    "duplicate_id": "quarantine",
    "missing_label": "quarantine",
    "unknown_label": "quarantine",
    "copied_test_row": "quarantine",
    "conflicting_labels": "quarantine",
}


@pytest.fixture
def bad(columns):
    """60 rows, 30 labelled, 10 unlabelled and 20 test; each fault in rows of its own."""
    data = {name: list(values) for name, values in columns.items()}
    data["split"] = ["labelled"] * 30 + ["unlabelled"] * 10 + ["test"] * 20
    data["a"][2], data["b"][3] = None, float("nan")
    data["b"][2] = float("nan")
    data["id"][5] = "r4"
    data["label"][6], data["label"][45] = None, "q"
    for name in ("a", "b"):
        data[name][50] = data[name][35]  # a test row like an unlabelled one
        data[name][8] = data[name][7]  # labels y and z
    return data


def run(folder, policies, least=10, **limits):
    spec = ValidationSpec(min_rows=least, policies=policies, **limits)
    outputs = [folder / name for name in ("result", "docs")]
    return validate(folder / "dataset", spec, *outputs, checked=folder / "checked")


def test_rows_are_taken_out_with_their_reasons_and_add_up(tmp_path, spec, write, bad):
    path = write(bad)
    given = spec(path, split={"by": "column"}, classes=["x", "y", "z"])
    before = resolve(given, tmp_path / "dataset")

    result = run(tmp_path, ALL_ROWS, max_quarantined=0.2)

    out = pq.read_table(tmp_path / "result" / "quarantine.parquet").to_pydict()
    assert out["row"] == [2, 3, 4, 5, 6, 7, 8, 45, 50]
    assert out["id"] == ["r2", "r3", "r4", "r4", "r6", "r7", "r8", "r45", "r50"]
    assert out["reason"][:5] == [
        "a feature is missing; a feature is NaN",
        "a feature is NaN",
        "another row has the same id",
        "another row has the same id",
        "the label is missing",
    ]
    assert out["reason"][7:] == [
        "the label is not one of the classes",
        "a training row has the same features",
    ]
    assert out["split"] == ["labelled"] * 7 + ["test"] * 2
    assert result.success
    assert result.quarantined == 9
    assert sum(result.rows.values()) + result.quarantined == sum(before.rows.values())

    checked = Dataset.open(tmp_path / "checked", result.checked_digest)
    assert checked.manifest.rows == result.rows
    assert result.checked_digest != before.digest
    ids = checked.load("labelled", "unlabelled", "test").ids
    assert sorted(ids) == sorted(set(bad["id"]) - set(out["id"]))
    assert {check.name for check in result.quarantines} == set(ALL_ROWS)


def test_what_remains_is_judged_and_passes_when_it_is_checked_again(tmp_path, spec, write, bad):
    given = spec(write(bad), split={"by": "column"}, classes=["x", "y", "z"])
    resolve(given, tmp_path / "dataset")
    run(tmp_path, ALL_ROWS, max_quarantined=0.2)

    again = validate(
        tmp_path / "checked", ValidationSpec(min_rows=10), tmp_path / "r", tmp_path / "d"
    )
    assert again.success
    assert not again.warnings
    with pytest.raises(UserError, match="the labelled split has 23 rows; at least 24"):
        run(tmp_path, ALL_ROWS, max_quarantined=0.2, min_rows_per_class=1, least=24)


def test_too_many_rows_to_take_out_are_a_failure(tmp_path, spec, write, bad):
    given = spec(write(bad), split={"by": "column"}, classes=["x", "y", "z"])
    resolve(given, tmp_path / "dataset")
    with pytest.raises(UserError, match=r"9 rows \(15.0%\) are to be taken out; at most 10.0%"):
        run(tmp_path, ALL_ROWS)
    assert not (tmp_path / "checked").exists()
    assert (tmp_path / "result" / "quarantine.parquet").is_file()


def test_drawn_split_and_data_beside_the_manifest_come_along(tmp_path):
    section = {
        "uri": "builtin://breast_cancer",
        "input": {"kind": "tabular", "columns": ["mean radius", "mean texture"]},
    }
    before = resolve(parse_section(DataSpec, section, "data"), tmp_path / "dataset")
    result = run(tmp_path, {"out_of_range": "quarantine"}, max_value=27.5)

    checked = Dataset.open(tmp_path / "checked", result.checked_digest)
    rows = checked.load("labelled", "unlabelled", "test")
    assert result.quarantined > 10
    assert np.max(rows.inputs) <= 27.5
    assert len(rows) + result.quarantined == sum(before.rows.values())


def test_files_that_differ_in_whether_a_value_may_miss_go_into_one_quarantine(tmp_path, spec, bad):
    """As a writer gives them that looks at each file alone."""
    everything = pa.table(bad)
    strict = pa.schema([field.with_nullable(field.name != "id") for field in everything.schema])
    (tmp_path / "data").mkdir()
    pq.write_table(everything.slice(0, 30).cast(strict), tmp_path / "data" / "0.parquet")
    pq.write_table(everything.slice(30), tmp_path / "data" / "1.parquet")
    given = spec(tmp_path / "data", split={"by": "column"}, classes=["x", "y", "z"])
    resolve(given, tmp_path / "dataset")
    assert run(tmp_path, ALL_ROWS, max_quarantined=0.2).quarantined == 9
    assert pq.read_table(tmp_path / "result" / "quarantine.parquet").num_rows == 9


def test_data_set_that_was_checked_needs_none_of_what_was_looked_at(tmp_path, spec, write, bad):
    """On a cluster, later steps get its artifact alone."""
    texts = [f"some words about {row}" for row in range(60)]
    labels = ["x", "y", "z"] * 20
    columns = {"id": bad["id"], "words": texts, "label": labels, "split": bad["split"]}
    given = spec(
        write(columns),
        split={"by": "column"},
        input={"kind": "text", "column": "words", "tokenizer": {"kind": "hash"}, "length": 8},
    )
    resolve(given, tmp_path / "dataset")
    result = run(tmp_path, {"duplicate_id": "quarantine"})
    shutil.rmtree(tmp_path / "dataset")
    (tmp_path / "data.parquet").unlink()
    checked = Dataset.open(tmp_path / "checked", result.checked_digest)
    assert len(checked.load("labelled", "unlabelled", "test")) == 58


def outcome(tmp_path, spec, write, data, policies, **limits):
    """The result, and the messages of the checks that did not pass, by name."""
    resolve(spec(write(data), split={"by": "column"}), tmp_path / "dataset")
    result = run(tmp_path, policies, 2, max_quarantined=0.9, min_rows_per_class=1, **limits)
    return result, {c.name: c.message for c in result.checks if c.status != "passed"}


@pytest.fixture
def split(columns):
    """60 rows with a split column: 30 labelled, 10 unlabelled and 20 test ones."""
    return {**columns, "split": ["labelled"] * 30 + ["unlabelled"] * 10 + ["test"] * 20}


def test_test_row_that_is_gone_for_its_id_is_no_duplicate_any_more(tmp_path, spec, write, split):
    split["id"][50] = "r0"
    split["a"][50] = 1000.0  # the largest value, so that it is a witness all the same
    result, said = outcome(tmp_path, spec, write, split, {"shared_id": "quarantine"})
    assert result.success
    assert set(said) == {"shared_id"}
    assert result.rows["test"] == 19


def test_training_rows_with_one_id_are_duplicates_though_the_test_row_is_gone(
    tmp_path, spec, write, split
):
    split["id"][50] = split["id"][1] = "r0"
    with pytest.raises(UserError, match=r"failed 1 of .*\n  2 rows with the id of another row"):
        outcome(tmp_path, spec, write, split, {"shared_id": "quarantine"})


def test_copies_that_are_gone_for_their_id_are_no_copied_test_rows(tmp_path, spec, write, split):
    for values in (split["id"], split["label"], split["a"], split["b"]):
        values[40:55] = values[3:18]
    result, said = outcome(tmp_path, spec, write, split, {"duplicate_id": "quarantine"})
    assert result.success
    assert set(said) == {"duplicate_id"}
    assert result.rows["test"] == 5


def test_share_of_copied_rows_is_of_those_that_are_left(tmp_path, spec, write, split):
    """Where labels conflict as well, the copies and what they are copied from are gone."""
    for values in (split["a"], split["b"]):
        values[40:55] = values[3:18]
        values[55] = values[20]
    split["label"][40:55] = ["y" if label != "y" else "z" for label in split["label"][3:18]]
    split["label"][55] = split["label"][20]
    with pytest.raises(UserError, match=r"1 row of the test split \(20.0%; tolerated are 0.0%\)"):
        outcome(tmp_path, spec, write, split, {"conflicting_labels": "quarantine"})


def test_figures_samples_and_profile_are_of_the_rows_that_are_left(tmp_path, spec, write, split):
    split["id"][10], split["a"][10] = "r11", 1e6
    greatest = {"expectation": "expect_column_max_to_be_between", "column": "a", "max_value": 100}
    result, said = outcome(
        tmp_path,
        spec,
        write,
        split,
        {"duplicate_id": "quarantine"},
        expectations=[greatest],
    )
    assert result.success
    assert set(said) == {"duplicate_id"}
    profile = read_record(tmp_path / "result" / DATA_PROFILE, DataProfile, "data profile")
    assert profile.rows == profile.sampled == 38
    assert profile.columns[0].edges[-1] < 100


@pytest.mark.parametrize(
    "name", ["missing", "nan", "infinite", "unknown_category", "unreadable", "unknown_label"]
)
def test_rows_that_no_later_step_can_use_cannot_only_be_warned_of(name):
    with pytest.raises(
        UserError, match=rf"policies\.{name}: warn is no .* take fail or quarantine"
    ):
        parse_section(ValidationSpec, {"policies": {name: "warn"}}, "validation")


@pytest.mark.parametrize("name", ["result", "docs", "checked"])
def test_full_disk_is_named(tmp_path, spec, write, split, name):
    split["a"][3] = float("nan")
    resolve(spec(write(split), split={"by": "column"}), tmp_path / "dataset")
    policies = ValidationSpec(min_rows=2, policies={"nan": "quarantine"})
    with small_disk(tmp_path / "disk", "4k") as disk:
        places = {other: tmp_path / other for other in ("result", "docs", "checked")}
        result, docs, checked = {**places, name: disk / name}.values()
        with pytest.raises(UserError, match=r"disk/.*: writing failed .*; the disk is full"):
            validate(tmp_path / "dataset", policies, result, docs, checked=checked)


def test_no_room_for_temporary_files_is_told_with_the_place(
    tmp_path, spec, write, split, monkeypatch
):
    resolve(spec(write(split), split={"by": "column"}), tmp_path / "dataset")
    with small_disk(tmp_path / "disk", "4k") as disk:
        (disk / "full").write_bytes(b"\0" * 4096)
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        with pytest.raises(UserError, match=rf"hashes of the rows in {disk} .*; free .* TMPDIR"):
            run(tmp_path, {})
