"""Bad input, through the command line: a clear error, nothing promoted, nothing half-written."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.datasets import load_wine

from tests.command_line import DIGITS, Done, Ended, Workspace

Command = Callable[..., Done]

ROWS = 178
RESULTS = ("summary.json", "decision.json", "report.html")
RECIPE: dict[str, Any] = {
    "name": "wine",
    "data": {
        "uri": "wine.parquet",
        "input": {"kind": "tabular", "columns": ["alcohol", "ash"]},
        "split": {"by": "random", "test": 0.3},
    },
    "validation": {"max_test_overlap": 1},
    "teacher": {"source": "train", "model": {"family": "mlp"}, "training": {"steps": 20}},
    "student": {"model": {"family": "mlp", "hidden": [4]}, "training": {"steps": 20}},
    "gates": {"accuracy": {"min": 0.01}},
    "registry": {"model": "wine-student"},
}


def columns() -> dict[str, Any]:
    data = load_wine()
    return {
        "id": [f"w{row}" for row in range(ROWS)],
        "alcohol": data.data[:, 0].copy(),
        "ash": data.data[:, 2].copy(),
        "label": [str(data.target_names[target]) for target in data.target],
    }


def write(folder: Path, table: dict[str, Any] | None, **changes: Any) -> Path:
    """A recipe, and the data that it names; ``changes`` are fields of its data section."""
    if table is not None:
        pq.write_table(pa.table(table), folder / "wine.parquet")
    recipe = {**RECIPE, "data": {**RECIPE["data"], **changes}}
    path = folder / "wine.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def spoil(**changes: Callable[[Any], Any] | None) -> dict[str, Any]:
    """The columns with some of them changed, or without those that are ``None``."""
    table = columns()
    for name, change in changes.items():
        if change is None:
            del table[name]
        else:
            table[name] = change(table[name])
    return table


def put(row: int, value: Any) -> Callable[[Any], list[Any]]:
    return lambda values: [value if at == row else old for at, old in enumerate(values)]


def assert_refused(status: int, stderr: str, *expected: str) -> None:
    assert status == 2, stderr
    assert "Traceback" not in stderr
    assert stderr.count("error:") == 1
    for text in expected:
        assert text in stderr


def assert_nothing_came_of(ended: Ended, workspace: Workspace) -> None:
    assert [name for name in RESULTS if (ended.output / name).exists()] == []
    assert not (workspace.folder / ".kubedistill" / "mlflow.db").exists()
    half = [path for path in workspace.folder.rglob("*.tmp") if path.exists()]
    assert half == []


def overlap() -> dict[str, Any]:
    """A split column by which one test row is a training row too."""
    table = columns()
    table["part"] = ["labelled" if row % 2 else "test" for row in range(ROWS)]
    table["id"][0] = table["id"][1]
    return table


@pytest.mark.parametrize(
    ("table", "changes", "expected"),
    [
        (None, {}, ["data.uri: there is no file or folder", "wine.parquet"]),
        (
            columns(),
            {"uri": "wien.parquet"},
            ["wien.parquet; did you mean 'wine.parquet'?"],
        ),
        (columns(), {"uri": "wine.yaml"}, ["wine.yaml: this is not a Parquet file"]),
        (
            {name: values[:0] for name, values in columns().items()},
            {},
            ["wine.parquet: there are no rows in it"],
        ),
        (spoil(ash=None), {}, ["there is no column 'ash', which data uses as feature"]),
        (
            spoil(ash=lambda values: [str(value) for value in values]),
            {},
            ["the feature column 'ash' is of type string, but should hold numbers"],
        ),
        (
            spoil(ash=put(7, float("nan")), alcohol=put(8, float("inf"))),
            {},
            ["1 row with NaN in 'ash' (1 row): id 'w7'", "in 'alcohol' (1 row): id 'w8'"],
        ),
        (
            spoil(label=put(3, "class_9")),
            {"classes": ["class_0", "class_1", "class_2"]},
            ["1 row with a label outside the classes", "'class_9'", "id 'w3'"],
        ),
        (
            columns(),
            {"classes": ["class_0", "class_1", "class_2", "class_3"]},
            ["the labelled split has no row of class 'class_3'", "test split has no row of class"],
        ),
        (spoil(id=put(5, "w4")), {}, ["2 rows with the id of another row", "id 'w4'"]),
        (
            overlap(),
            {"split": {"by": "column", "column": "part"}},
            ["1 row of the test split with the id of a training row: id 'w1'"],
        ),
    ],
    ids=[
        "no file",
        "wrong name",
        "not Parquet",
        "no rows",
        "column missing",
        "column of text",
        "NaN and infinity",
        "label outside the classes",
        "class without a row",
        "duplicated ids",
        "test row inside the training rows",
    ],
)
def test_validate_names_what_is_wrong_with_the_data(
    command: Command,
    tmp_path: Path,
    table: dict[str, Any] | None,
    changes: dict[str, Any],
    expected: list[str],
) -> None:
    done = command(tmp_path, "validate", write(tmp_path, table, **changes))
    assert_refused(done.status, done.stderr, *expected)
    assert done.stdout == ""


def test_the_same_data_pass_once_they_are_correct(command: Command, tmp_path: Path) -> None:
    done = command(tmp_path, "validate", write(tmp_path, columns()))
    assert done.status == 0, done.stderr


def test_run_stops_at_bad_data_before_anything_trains(workspace: Workspace) -> None:
    table = spoil(ash=put(7, float("nan")), id=put(5, "w4"), label=put(3, "class_9"))
    recipe = write(workspace.folder, table, classes=["class_0", "class_1", "class_2"])
    ended = workspace.end("run", recipe, "--output", "out")
    assert_refused(
        ended.status,
        ended.stderr,
        f"error: {workspace.folder}/wine.parquet: the data failed 3 of",
        "1 row with NaN in 'ash' (1 row): id 'w7'",
        "2 rows with the id of another row: id 'w4'",
        "1 row with a label outside the classes",
        "(such as 'class_9'): id 'w3'",
    )
    assert "train_teacher" not in ended.stderr
    assert_nothing_came_of(ended, workspace)


def test_run_without_the_data(workspace: Workspace) -> None:
    recipe = write(workspace.folder, None)
    ended = workspace.end("run", recipe, "--output", "out")
    missing = f"error: data.uri: there is no file or folder {workspace.folder}/wine.parquet"
    assert_refused(ended.status, ended.stderr, missing)
    assert_nothing_came_of(ended, workspace)


class Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.mark,)


def test_run_with_weights_that_hold_code_keeps_champion_and_earlier_results(
    promoted: tuple[Workspace, Ended], command: Command, tmp_path: Path
) -> None:
    workspace, first = promoted
    (bundle,) = first.output.glob("pipeline/*/train-teacher/model")
    shutil.copytree(bundle, tmp_path / "teacher")
    weights = tmp_path / "teacher" / "model.safetensors"
    weights.write_bytes(pickle.dumps(Malicious(tmp_path / "it-ran")))
    shutil.copytree(first.output, workspace.folder / "kept")
    before = {name: (first.output / name).read_bytes() for name in RESULTS}
    registry = command(workspace.folder, "status", "digits-student", "--json")
    ended = workspace.distil("kept", f"teacher={{source: bundle, uri: {tmp_path / 'teacher'}}}")
    assert_refused(
        ended.status,
        ended.stderr,
        f"error: {weights}: not a safetensors file",
        "pickled weights can run code when they are read, and are refused",
    )
    assert not (tmp_path / "it-ran").exists()
    assert [name for name in RESULTS if (ended.output / name).exists()] == []
    kept = {name: (ended.output / "previous" / name).read_bytes() for name in RESULTS}
    assert kept == before
    assert command(workspace.folder, "status", "digits-student", "--json") == registry


def test_run_with_an_unknown_key_does_not_even_make_its_folder(workspace: Workspace) -> None:
    ended = workspace.end("run", DIGITS, "--output", "out", "--set", "student.modle.family=mlp")
    assert_refused(ended.status, ended.stderr, "student.modle: unknown field; did you mean model?")
    assert list(workspace.folder.iterdir()) == []
