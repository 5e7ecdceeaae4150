"""The recipe's section ``teacher``."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from components.shared.errors import UserError
from components.shared.recipe import Recipe
from components.shared.recipe.loading import parse_section
from components.shared.recipe.teacher import (
    EndpointTeacher,
    EnsembleTeacher,
    MlflowTeacher,
    TeacherSpec,
    is_measurable,
    sections_with_paths,
    shares,
    trained,
)

ONNX = {"source": "onnx", "uri": "teacher.onnx"}
MLFLOW = {"source": "mlflow", "uri": "models:/digits@champion"}
ENDPOINT = {"source": "endpoint", "url": "http://teacher:8000", "model": "digits"}
TRAINED = {"source": "train", "model": {"family": "mlp"}, "training": {"steps": 5}}
BUNDLE = {"source": "bundle", "uri": "runs/7/teacher"}


def parsed(section: dict[str, Any]) -> Any:
    return TypeAdapter(TeacherSpec).validate_python(section)


def test_weights_are_shares_of_one_in_the_order_of_the_recipe() -> None:
    members = [{"weight": 3, "teacher": ONNX}, {"teacher": TRAINED}]
    ensemble = parsed({"source": "ensemble", "members": members})
    assert [(share.weight, share.teacher.source) for share in shares(ensemble)] == [
        (0.75, "onnx"),
        (0.25, "train"),
    ]
    assert [teacher.training.steps for teacher in trained(ensemble)] == [5]
    assert shares(parsed(ONNX))[0].weight == 1


@pytest.mark.parametrize(
    ("section", "measurable"),
    [
        (TRAINED, True),
        (BUNDLE, True),
        (ONNX, True),
        (MLFLOW, True),  # without code only ONNX models are taken
        ({**MLFLOW, "allow_code": True}, False),
        (ENDPOINT, False),
        ({"source": "ensemble", "members": [{"teacher": ONNX}, {"teacher": ONNX}]}, False),
    ],
)
def test_only_a_single_file_has_a_latency(section: dict[str, Any], measurable: bool) -> None:
    assert is_measurable(parsed(section)) is measurable


@pytest.mark.parametrize(
    ("kind", "section", "message"),
    [
        (MlflowTeacher, {**MLFLOW, "uri": "runs:/7/model"}, "uri: should be models:/NAME/VERSION"),
        (MlflowTeacher, {**MLFLOW, "uri": "models:/digits/Production"}, "models:/NAME@ALIAS"),
        (MlflowTeacher, {**MLFLOW, "classes": ["a", "b", "a"]}, "class 'a' is listed more than"),
        (EndpointTeacher, {**ENDPOINT, "url": "teacher:8000"}, "url: should be http://HOST:PORT"),
        (EndpointTeacher, {**ENDPOINT, "url": "http://me:pw@host"}, "name that in token_env"),
        (EndpointTeacher, {**ENDPOINT, "budget": {}}, "budget: needs at least one of requests"),
        (EndpointTeacher, {**ENDPOINT, "token_env": "Bearer x"}, "token_env"),
        (EndpointTeacher, {**ENDPOINT, "model": "a/b"}, "model"),
        (
            EnsembleTeacher,
            {"source": "ensemble", "members": [{"teacher": ONNX}]},
            "members: list should have at least 2 items",
        ),
        (
            EnsembleTeacher,
            {"source": "ensemble", "members": [{"weight": 0, "teacher": ONNX}, {"teacher": ONNX}]},
            r"members\[0\].weight: input should be greater than 0",
        ),
        (
            EnsembleTeacher,
            {"source": "ensemble", "members": [{"teacher": ONNX}] * 9},
            "members: list should have at most 8 items",
        ),
        (
            EnsembleTeacher,
            {"source": "ensemble", "held_out": 0.1, "members": [{"teacher": TRAINED}] * 2},
            "held_out is for weighting: quality, not fixed",
        ),
        (
            EnsembleTeacher,
            {
                "source": "ensemble",
                "weighting": "quality",
                "held_out": 0.1,
                "members": [{"teacher": ONNX}] * 2,
            },
            "held_out is for members that are trained here",
        ),
        (
            EnsembleTeacher,
            {"source": "ensemble", "weighting": "qualty", "members": [{"teacher": ONNX}] * 2},
            "weighting: ",
        ),
        (
            MlflowTeacher,
            {**MLFLOW, "standardise": {"mean": [1, 2], "std": [1]}},
            "standardise: mean has 2 numbers, but std has 1",
        ),
    ],
)
def test_a_mistake_is_named_with_its_field(
    kind: Any, section: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        parse_section(kind, section, "teacher")


@pytest.mark.parametrize(
    ("weighting", "member", "held_out", "unseen", "judged"),
    [
        ("fixed", TRAINED, None, 0.0, 0.0),
        ("quality", TRAINED, None, 0.2, 0.2),
        ("quality", TRAINED, 0.1, 0.1, 0.1),
        ("quality", ONNX, None, 0.0, 1.0),
        ("confidence", TRAINED, None, 0.0, 0.0),
        ("confidence", ONNX, None, 0.0, 1.0),
    ],
)
def test_teachers_are_judged_by_labelled_rows_that_none_was_trained_on_here(
    weighting: str,
    member: dict[str, Any],
    held_out: float | None,
    unseen: float,
    judged: float,
) -> None:
    members = [{"teacher": member}, {"teacher": ONNX}]
    section = {"source": "ensemble", "weighting": weighting, "members": members}
    spec = parsed(section | ({} if held_out is None else {"held_out": held_out}))
    assert (spec.unseen, spec.judged) == (unseen, judged)


def test_paths_are_those_of_bundles_and_onnx_files_also_among_members() -> None:
    members = [{"teacher": one} for one in (MLFLOW, BUNDLE, ENDPOINT, ONNX)]
    found = sections_with_paths({"source": "ensemble", "members": members})
    assert [section["uri"] for section in found] == [BUNDLE["uri"], ONNX["uri"]]
    assert list(sections_with_paths(MLFLOW)) == []
    assert list(sections_with_paths("nothing")) == []


def test_a_recipe_takes_every_kind_of_teacher(digits_recipe: Recipe) -> None:
    document = digits_recipe.model_dump(mode="json", exclude_none=True)
    members = [{"weight": 1, "teacher": one} for one in (TRAINED, BUNDLE, MLFLOW, ENDPOINT)]
    for section in (ONNX, MLFLOW, ENDPOINT, {"source": "ensemble", "members": members}):
        recipe = Recipe.model_validate({**document, "teacher": section})
        again = Recipe.model_validate_json(recipe.model_dump_json(exclude_none=True))
        assert again == recipe
