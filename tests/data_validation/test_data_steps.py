"""The functions behind the components."""

import json

import pytest

from components.data_validation import steps
from components.shared.recipe import Recipe, load_recipe
from components.shared.recipe.graph import graph_of
from components.shared.records import read_record
from tests.command_line import DIGITS


@pytest.fixture
def resolved(tmp_path, spec, write, columns):
    data = spec(write(columns)).model_dump(mode="json", exclude={"uri"}, exclude_none=True)
    return steps.resolve(
        str(tmp_path / "data.parquet"), data, tmp_path / "dataset", tmp_path / "digest"
    )


def validate(folder, digest, limits, champion=None):
    names = ("result", "docs", "checked", "checked_digest")
    outputs = [folder / name for name in names]
    return steps.validate(folder / "dataset", digest, limits, *outputs, champion)


def test_resolve_writes_the_digest_and_returns_metadata(tmp_path, resolved):
    assert (tmp_path / "digest").read_text() == resolved["digest"]
    assert resolved["rows"] == {"labelled": 24, "unlabelled": 18, "test": 18}


def test_numbers_that_kfp_made_floats_are_accepted(tmp_path, resolved):
    digest, limits = resolved["digest"], {"min_rows": 10.0, "min_rows_per_class": 2.0}
    metadata = validate(tmp_path, digest, limits)
    assert metadata["digest"] == digest
    assert (tmp_path / "checked_digest").read_text() == digest
    manifest = (tmp_path / "dataset" / "manifest.json").read_bytes()
    assert (tmp_path / "checked" / "manifest.json").read_bytes() == manifest


def test_data_set_of_another_digest_ends_with_status_2(tmp_path, resolved, capsys):
    with pytest.raises(SystemExit) as exit_:
        validate(tmp_path, "0" * 64, {})
    assert exit_.value.code == 2
    assert "resolve it again" in capsys.readouterr().out


def test_bad_data_end_with_status_2_after_the_result_is_written(tmp_path, resolved, capsys):
    with pytest.raises(SystemExit) as exit_:
        validate(tmp_path, resolved["digest"], {"min_rows": 20})
    assert exit_.value.code == 2
    assert "the test split has 18 rows; at least 20 are needed" in capsys.readouterr().out
    result = json.loads((tmp_path / "result" / "validation.json").read_text())
    assert result["success"] is False
    assert (tmp_path / "docs" / "index.html").is_file()
    assert not (tmp_path / "checked").exists()
    assert not (tmp_path / "checked_digest").exists()


def test_warnings_and_what_was_not_looked_at_are_events(tmp_path, resolved, capsys):
    policies = {"policies": {"few_rows": "warn"}}
    metadata = validate(tmp_path, resolved["digest"], {"min_rows": 20, **policies})
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (warning,) = [event for event in events if event["event"] == "validation_warning"]
    assert warning["check"] == "few_rows"
    assert warning["message"].startswith("the test split has 18 rows; at least 20 are needed")
    assert [event["message"][:8] for event in events if event["event"] == "validation_note"] == [
        "coverage"
    ]
    assert metadata["warnings"] == 1


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

    compiled = as_kfp_passes_it(graph_of(recipe))
    steps.check_recipe(sections | {"seed": recipe.seed}, compiled, tmp_path / "recipe")

    assert read_record(tmp_path / "recipe", Recipe, "recipe") == recipe
    assert "400.0" not in (tmp_path / "recipe").read_text()


def test_parameter_that_was_changed_to_nonsense_ends_with_status_2(tmp_path, capsys):
    recipe = load_recipe(DIGITS)
    sections = recipe.model_dump(mode="json", exclude_none=True)
    sections["gates"] = {"worst_slice": {"min_accuracy": 0.5}}

    with pytest.raises(SystemExit) as exit_:
        steps.check_recipe(sections, graph_of(recipe), tmp_path / "recipe")

    assert exit_.value.code == 2
    assert "gates.worst_slice needs data.slices" in capsys.readouterr().out
    assert not (tmp_path / "recipe").exists()


@pytest.mark.parametrize(
    ("section", "value", "said"),
    [
        ("teacher", {"source": "bundle", "uri": "/teachers/current"}, "teacher is ['bundle']"),
        ("labelling", {"workers": 2}, "labelling.workers is 2"),
        ("validation", {"drift": {}}, "validation.drift is True"),
    ],
)
def test_a_recipe_that_needs_other_steps_than_were_compiled_is_refused(
    tmp_path, capsys, section, value, said
):
    recipe = load_recipe(DIGITS)
    sections = recipe.model_dump(mode="json", exclude_none=True)
    sections |= {section: value, "storage": "/kept"}

    with pytest.raises(SystemExit):
        steps.check_recipe(sections, graph_of(recipe), tmp_path / "recipe")

    assert said in capsys.readouterr().out
