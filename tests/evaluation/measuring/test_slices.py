"""Slices of a data set by the values of its columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data_validation.resolve import resolve
from components.evaluation.measuring.evaluate import evaluate
from components.evaluation.measuring.slices import ByRange, ByValue, Slicing, find_slices
from components.shared.dataset import Dataset
from components.shared.recipe import DataSpec, EvaluationSpec, parse_section
from components.shared.recipe.evaluation import LatencySpec
from components.shared.results import Evaluation

ROWS = 400
SPEC = EvaluationSpec(latency=LatencySpec(budget_s=0.01, attempts=1))


def sliced(folder: Path, values: Any, files: int = 1) -> tuple[Slicing, dict[str, int]]:
    """How a column of test rows is divided, and the rows of each slice that has some."""
    column = values if isinstance(values, pa.Array) else pa.array(values)
    rows = len(column)
    table = pa.table(
        {
            "id": pa.array(range(rows)),
            "x": np.zeros(rows),
            "label": ["no", "yes"] * (rows // 2),
            "fold": ["labelled"] * 2 + ["test"] * (rows - 2),
            "by": column,
        }
    )
    (folder / "data").mkdir(parents=True)
    for number in range(files):
        low, high = (rows * edge // files for edge in (number, number + 1))
        pq.write_table(table.slice(low, high - low), folder / "data" / f"{number}.parquet")
    spec = {
        "uri": str(folder / "data"),
        "input": {"kind": "tabular", "columns": ["x"]},
        "split": {"by": "column", "column": "fold"},
        "slices": ["by"],
    }
    resolve(parse_section(DataSpec, spec, "data"), folder / "dataset")
    dataset = Dataset.open(folder / "dataset")
    (slicing,) = find_slices(dataset)
    counts = np.zeros(len(slicing.names), np.int64)
    for batch in dataset.batches("test", rows=97, columns=["by"]):
        counts += np.bincount(slicing.codes(batch.columns["by"]), minlength=len(counts))
    named = zip(slicing.names, counts.tolist(), strict=True)
    return slicing, {name: count for name, count in named if count}


def test_text_is_sliced_by_value_the_most_frequent_first(tmp_path: Path) -> None:
    values = [("north", "south", "south", None)[row % 4] for row in range(ROWS + 2)]
    slicing, counts = sliced(tmp_path, values)
    assert isinstance(slicing, ByValue)
    assert counts == {"south": 200, "north": 100, "missing": 100}


def test_values_beyond_the_twentieth_are_together(tmp_path: Path) -> None:
    """Value k has k rows; the first two rows are not test rows."""
    values = ["train"] * 2 + [f"v{k:02}" for k in range(1, 31) for _ in range(k)] + ["v30"]
    _, counts = sliced(tmp_path, values)
    assert list(counts) == [*(f"v{k}" for k in range(30, 10, -1)), "other"]
    assert counts["v30"] == 31
    assert counts["other"] == sum(range(1, 11))


def test_values_that_are_called_as_our_own_slices_are_told_apart(tmp_path: Path) -> None:
    _, counts = sliced(tmp_path, ["other", "missing"] * 5 + [None, None])
    assert counts == {"'missing'": 4, "'other'": 4, "missing": 2}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pa.array([True, False] * 10), {"true", "false"}),
        (pa.array([10, 9] * 10), {"10", "9"}),
        (pa.array([1.0, np.nan] * 10), {"1", "missing"}),
        (pa.array([1.0, None] * 10), {"1", "missing"}),
        (pa.array(["a", "b"] * 10).dictionary_encode(), {"a", "b"}),
        (pa.array([3, 4] * 10).dictionary_encode(), {"3", "4"}),
        (pa.nulls(20), {"missing"}),
    ],
    ids=["bool", "int", "float with NaN", "float with null", "category", "int category", "empty"],
)
def test_few_values_of_any_type_are_slices_of_their_own(
    tmp_path: Path, values: pa.Array, names: set[str]
) -> None:
    assert set(sliced(tmp_path, values)[1]) == names


def test_numbers_are_cut_into_quarters(tmp_path: Path) -> None:
    values = [0, 0, *range(100), *[None] * 20]
    slicing, counts = sliced(tmp_path, values)
    assert isinstance(slicing, ByRange)
    assert counts == {
        "0 to 24": 25,
        "above 24 to 49": 25,
        "above 49 to 74": 25,
        "above 74 to 99": 25,
        "missing": 20,
    }


def test_ranges_that_would_be_empty_are_joined(tmp_path: Path) -> None:
    """Six of ten rows are zero, and so are two quartiles."""
    values = [0.0] * 62 + [1.5 + row for row in range(38)] + [40.25, 41.25]
    _, counts = sliced(tmp_path, values)
    assert counts == {"0": 60, "above 0 to 15.5": 15, "above 15.5 to 41.25": 25}


def test_largest_value_of_many_rows_is_in_one_range(tmp_path: Path) -> None:
    slicing, counts = sliced(tmp_path, [0, *range(40), *[99] * 61])
    assert counts == {"1 to 25": 25, "above 25 to 99": 75}
    assert slicing.names == [*counts, "missing"]


def test_infinities_belong_to_the_outer_ranges(tmp_path: Path) -> None:
    values = [0.0, 0.0, -np.inf, np.inf, *np.linspace(0.5, 9.5, 96)]
    _, counts = sliced(tmp_path, values)
    assert sum(counts.values()) == 98
    assert next(iter(counts)).startswith("-inf to ")
    assert list(counts)[-1].endswith(" to inf")


def test_close_numbers_are_written_so_that_they_differ() -> None:
    slicing = ByRange("time", 1.7000000001, [1.7000000002, 1.7000000003])
    assert slicing.names[0] == "1.7000000001 to 1.7000000002"


@pytest.mark.parametrize("text", [True, False])
def test_slices_do_not_depend_on_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bool
) -> None:
    monkeypatch.setattr("components.evaluation.measuring.slices._SAMPLE", 2000)
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=30_000)
    values = [f"v{int(abs(10 * number))}" for number in numbers] if text else numbers
    one = sliced(tmp_path / "one", values)
    assert sliced(tmp_path / "five", values, files=5) == one


def test_sampled_quartiles_are_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.evaluation.measuring.slices._SAMPLE", 2000)
    values = np.random.default_rng(0).permutation(20_000) + 0.5
    _, counts = sliced(tmp_path, values)
    assert [count / 19_998 for count in counts.values()] == pytest.approx([0.25] * 4, abs=0.03)


def test_numbers_that_few_rows_have_are_divided_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample of rows would hardly meet any of them."""
    monkeypatch.setattr("components.evaluation.measuring.slices._SAMPLE", 50)
    values: list[float | None] = [None] * 20_000
    values[1000:20_000:700] = [number + 0.5 for number in range(28)]
    _, counts = sliced(tmp_path, values)
    assert counts.pop("missing") == 19_998 - 28
    assert list(counts.values()) == [7, 7, 7, 7]


def test_frequent_values_are_found_among_very_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.evaluation.measuring.slices._DIFFERENT", 200)
    generator = np.random.default_rng(0)
    rare = [f"r{number}" for number in range(15_000)]
    values = ["a"] * 3000 + ["b"] * 2000 + rare
    slicing, counts = sliced(tmp_path, generator.permutation(values).tolist())
    assert isinstance(slicing, ByValue)
    assert slicing.values[:2] == ["a", "b"]
    assert counts["a"] >= 2998


@pytest.fixture(scope="module")
def measured(
    make_problem: Callable[..., Any],
    make_model: Callable[..., Path],
    make_candidates: Callable[..., Path],
    no_champion: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Evaluation:
    """An evaluation by region, a feature, and the label."""
    root = tmp_path_factory.mktemp("sliced")
    data = make_problem(root / "data", slices=["region", "a", "label"], shards=3)
    good = make_model(root / "good", data.weights, dataset_digest=data.digest)
    bad = make_model(root / "bad", 0 * data.weights, dataset_digest=data.digest)
    forms = make_candidates(root / "forms", {"float32": 0.5 * data.weights}, data.digest)
    arms = {"teacher": good, "hard_label": bad, "pseudo_label": bad}
    return evaluate(data.folder, arms, forms, no_champion, SPEC)


@pytest.mark.parametrize("arm", ["teacher", "student", "hard_label"])
def test_slices_of_a_column_add_up_to_the_whole(measured: Evaluation, arm: Any) -> None:
    whole = measured.arms[arm]
    for column in ("region", "a", "label"):
        slices = [found for found in whole.slices if found.column == column]
        assert sum(found.rows for found in slices) == whole.rows
        for name in ("accuracy", "log_loss"):
            total = sum(found.rows * found.metrics[name].value for found in slices)
            assert total / whole.rows == pytest.approx(whole.metrics[name].value)


def test_every_model_has_the_same_slices(measured: Evaluation) -> None:
    slices = [
        [(found.column, found.value, found.rows) for found in result.slices]
        for result in measured.arms.values()
    ]
    assert all(found == slices[0] for found in slices)
    assert [value for column, value, _ in slices[0] if column == "region"] == [
        "north",
        "south",
        "missing",
    ]


def test_slice_of_one_class_has_no_auroc(measured: Evaluation) -> None:
    for found in measured.arms["student"].slices:
        assert ("auroc" in found.metrics) == (found.column != "label")
        assert "agreement" in found.metrics
    assert all("agreement" not in found.metrics for found in measured.arms["teacher"].slices)
