import json
from pathlib import Path

import pytest

from components.shared.errors import UserError
from components.shared.recipe import (
    DataSpec,
    Recipe,
    TrainingSpec,
    load_recipe,
    parse_section,
    recipe_schema,
)

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "pipelines" / "recipes" / "digits.yaml"


def error_of(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_recipe(DIGITS, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("student.training.stpes=3", "student.training.stpes: unknown field; did you mean steps?"),
        ("gates.latency.p95=1", "gates.latency.p95: unknown field; did you mean p95_ms?"),
        ("sede=1", "sede: unknown field; did you mean seed?"),
        ("teacher.model.channel=[3]", "teacher.model.channel: unknown field; did you mean channel"),
        ("seed=ten", "seed: input should be a valid integer, not 'ten'"),
        ("seed='1'", "seed: input should be a valid integer, not '1'"),
        ("seed=-1", "seed: input should be greater than or equal to 0, not -1"),
        ("gates.accuracy.min=.nan", "gates.accuracy.min: input should be a finite number"),
        (
            "teacher.source=magic",
            "teacher.source: should be one of bundle, endpoint, ensemble, mlflow, onnx, train, "
            "not 'magic'",
        ),
        (
            "teacher.model.family=vit",
            "teacher.model.family: should be one of bag, cnn, factory, mlp, mobilenet",
        ),
        ("student.training.steps=[1, a]", "student.training.steps[1]: input should be a valid int"),
        ("student={}", "student.model: is required"),
        (
            "teacher={uri: x}",
            "teacher.source: is required: bundle, endpoint, ensemble, mlflow, onnx, train",
        ),
        ("student.training.steps=[]", "value should have at least 1 item, not 0"),
        ("data.split.labelled=1.5", "data.split.labelled: should be a whole number of rows"),
        ("registry.alias=v2", "registry.alias: 'latest' and 'v<number>' are reserved"),
        ("registry.alias=challenger", "registry.alias: 'challenger', 'challenger-…' and"),
        ("registry.alias=former-champion", "registry.alias: 'challenger', 'challenger-…' and"),
        ("data.input={kind: tabular, columns: [a, a]}", "column 'a' is listed more than once"),
        ("data.input={kind: tabular, columns: [a]}", "teacher.model.family is cnn"),
        ("data.id=label", "data: the label column 'label' is also the id"),
        ("data.label=image", "data: the label column 'image' is also a feature"),
        ("data.split={by: column, column: id}", "data: the split column 'id' is also the id"),
        ("data.id=split", "the id column is called 'split', a name that is reserved"),
        ("data.classes=[a, a]", "data.classes: class 'a' is listed more than once"),
    ],
)
def test_error_names_the_field_and_what_to_write(override: str, expected: str) -> None:
    assert expected in error_of(override)


def test_all_mistakes_are_reported_at_once() -> None:
    message = error_of("seed=x", "student.training.batchsize=1", "gates.size.max_bytes=0")
    assert "seed:" in message
    assert "did you mean batch_size?" in message
    assert "gates.size.max_bytes:" in message


@pytest.mark.parametrize("override", ["seed", "=1", "seed.x=1", ".=1"])
def test_malformed_override_is_refused(override: str) -> None:
    assert f"--set {override}:" in error_of(override)


def test_overrides_reach_fields_that_the_file_leaves_out() -> None:
    recipe = load_recipe(DIGITS, ["evaluation.latency.budget_s=5", "student.training.steps=7"])
    assert recipe.evaluation.latency.budget_s == 5
    assert recipe.student.training.steps == [7]


def test_numbers_with_an_exponent_are_numbers() -> None:
    recipe = load_recipe(DIGITS, ["student.training.weight_decay=1e-4"])
    assert recipe.student.training.weight_decay == 1e-4


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [1", "not valid YAML"),
        (b"seed: 1\nseed: 2\n", "the key 'seed' is given twice"),
        (b"- 1\n", "should be a mapping"),
        (b"", "should be a mapping"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="recipe.yaml") as caught:
        load_recipe(path)
    assert expected in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: No such file"):
        load_recipe(tmp_path / "none.yaml")


def test_section_accepts_the_floats_that_kfp_makes_of_integers() -> None:
    spec = parse_section(TrainingSpec, {"steps": 400.0, "learning_rate": 1}, "teacher.training")
    assert spec.steps == 400


def test_section_error_names_the_pipeline_parameter() -> None:
    with pytest.raises(UserError, match=r"teacher\.training\.steps: is required"):
        parse_section(TrainingSpec, {}, "teacher.training")


def test_recipe_survives_the_trip_through_pipeline_parameters(digits_recipe: Recipe) -> None:
    sections = json.loads(digits_recipe.model_dump_json(), parse_int=float)
    uri = sections["data"].pop("uri")
    data = parse_section(DataSpec, {"uri": uri, **sections["data"]}, "data")
    assert data == digits_recipe.data


def test_class_names_may_be_numbers() -> None:
    recipe = load_recipe(DIGITS, ["data.classes=[1, 0]"])
    assert recipe.data.classes == ["1", "0"]


def test_relative_paths_belong_to_the_recipes_folder_and_overrides_to_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = DIGITS.read_text().replace("builtin://digits", "../rows.parquet")
    (tmp_path / "recipes").mkdir()
    path = tmp_path / "recipes" / "own.yaml"
    path.write_text(recipe)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    override = "teacher={source: bundle, uri: teacher}"
    loaded = load_recipe(path, [override], absolute_paths=True)
    assert loaded.data.uri == str(tmp_path / "rows.parquet")
    assert loaded.teacher.source == "bundle"
    assert loaded.teacher.uri == str(tmp_path / "here" / "teacher")
    assert load_recipe(path).data.uri == "../rows.parquet"


def test_builtin_uri_is_no_path() -> None:
    assert load_recipe(DIGITS, absolute_paths=True).data.uri == "builtin://digits"


def test_schema_in_the_repository_is_the_generated_one() -> None:
    kept = ROOT / "pipelines" / "recipes" / "recipe.schema.json"
    assert kept.read_text() == recipe_schema(), "run `make compile`"
