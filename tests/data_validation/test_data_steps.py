"""The functions behind the components."""

import json

import pytest

from components.data_validation import steps
from components.shared.recipe import Recipe, load_recipe
from components.shared.records import read_record
from tests.command_line import DIGITS


@pytest.fixture
def resolved(tmp_path, spec, write, columns):
    data = spec(write(columns)).model_dump(mode="json", exclude={"uri"}, exclude_none=True)
    return steps.resolve(
        str(tmp_path / "data.parquet"), data, tmp_path / "dataset", tmp_path / "digest"
    )


def test_resolve_writes_the_digest_and_returns_metadata(tmp_path, resolved):
    assert (tmp_path / "digest").read_text() == resolved["digest"]
    assert resolved["rows"] == {"labelled": 24, "unlabelled": 18, "test": 18}


def test_numbers_that_kfp_made_floats_are_accepted(tmp_path, resolved):
    digest, limits = resolved["digest"], {"min_rows": 10.0, "min_rows_per_class": 2.0}
    metadata = steps.validate(
        tmp_path / "dataset", digest, limits, tmp_path / "result.json", tmp_path / "docs"
    )
    assert metadata["digest"] == digest


def test_data_set_of_another_digest_ends_with_status_2(tmp_path, resolved, capsys):
    with pytest.raises(SystemExit) as exit_:
        steps.validate(
            tmp_path / "dataset", "0" * 64, {}, tmp_path / "result.json", tmp_path / "docs"
        )
    assert exit_.value.code == 2
    assert "resolve it again" in capsys.readouterr().out


def test_bad_data_end_with_status_2_after_the_result_is_written(tmp_path, resolved, capsys):
    with pytest.raises(SystemExit) as exit_:
        steps.validate(
            tmp_path / "dataset",
            resolved["digest"],
            {"min_rows": 20},
            tmp_path / "result.json",
            tmp_path / "docs",
        )
    assert exit_.value.code == 2
    assert "the test split has 18 rows; at least 20 are needed" in capsys.readouterr().out
    assert json.loads((tmp_path / "result.json").read_text())["success"] is False
    assert (tmp_path / "docs" / "index.html").is_file()


def test_unknown_field_ends_with_status_2_and_names_it(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        steps.resolve("builtin://wine", {"labl": "x"}, tmp_path / "dataset", tmp_path / "digest")
    assert exit_.value.code == 2
    assert "did you mean label?" in capsys.readouterr().out
    assert not (tmp_path / "dataset").exists()


def as_kfp_passes_it(value):
    """Numbers inside mappings arrive as floats."""
    if isinstance(value, dict):
        return {key: as_kfp_passes_it(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_kfp_passes_it(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_checked_recipe_is_the_recipe(tmp_path):
    recipe = load_recipe(DIGITS)
    sections = as_kfp_passes_it(recipe.model_dump(mode="json", exclude_none=True))

    steps.check_recipe(sections | {"seed": recipe.seed}, "train", tmp_path / "recipe")

    assert read_record(tmp_path / "recipe", Recipe, "recipe") == recipe
    assert "400.0" not in (tmp_path / "recipe").read_text()


def test_parameter_that_was_changed_to_nonsense_ends_with_status_2(tmp_path, capsys):
    sections = load_recipe(DIGITS).model_dump(mode="json", exclude_none=True)
    sections["gates"] = {"worst_slice": {"min_accuracy": 0.5}}

    with pytest.raises(SystemExit) as exit_:
        steps.check_recipe(sections, "train", tmp_path / "recipe")

    assert exit_.value.code == 2
    assert "gates.worst_slice needs data.slices" in capsys.readouterr().out
    assert not (tmp_path / "recipe").exists()


def test_teacher_of_another_source_than_compiled_for_is_refused(tmp_path, capsys):
    sections = load_recipe(DIGITS).model_dump(mode="json", exclude_none=True)
    sections["teacher"] = {"source": "bundle", "uri": "/teachers/current"}

    with pytest.raises(SystemExit):
        steps.check_recipe(sections, "train", tmp_path / "recipe")

    assert "compiled for train" in capsys.readouterr().out
