"""The recipe's views, stored and live: what may be written, and what is said of the rest."""

from pathlib import Path

import pytest

from components.shared.errors import UserError
from components.shared.recipe import load_recipe
from components.shared.recipe.graph import graph_of

RECIPES = Path(__file__).parents[2] / "pipelines" / "recipes"
FROM_FILE = "teacher={source: onnx, uri: teacher.onnx}"


@pytest.mark.parametrize(
    ("recipe", "overrides", "expected"),
    [
        ("digits", ["labelling.views={count: 2, noise: 1}"], "labelling.views.noise is for tables"),
        ("digits", ["distillation.live={token_dropout: 0.1}"], "live.token_dropout is for texts"),
        (
            "titanic",
            ["distillation.live={flip: true}"],
            "distillation.live.flip is for images, but",
        ),
        ("titanic", ["labelling.views={count: 2, cutmix: 1}"], "labelling.views.cutmix is for im"),
        (
            "docstrings",
            ["distillation.live={mixup: 1}"],
            "live.mixup is for tables and images, but",
        ),
        (
            "docstrings",
            ["labelling.views={count: 2, crop: {}}"],
            "labelling.views.crop is for imag",
        ),
        ("digits", ["labelling.views={count: 2, mixup: 1, cutmix: 1}"], "set one of them"),
        ("digits", ["labelling.views={flip: true}"], "labelling.views: flip needs a count of 2 or"),
        ("digits", ["distillation.live={}"], "live changes nothing; set one of its shift, noise"),
        ("digits", ["distillation.live={crop: {least: 1}}"], "least is 1, which leaves nothing"),
        (
            "digits",
            ["distillation.live={crop: {least: 0.8, most: 0.5}}"],
            "least is more than most",
        ),
        ("digits", ["distillation.live={flop: true}"], "flop: unknown field; did you mean flip?"),
        (
            "digits",
            ["distillation.live={flip: true}", "labelling.views={count: 2, shift: 1}"],
            "distillation.live shows other views in every step",
        ),
        (
            "digits",
            ["distillation.live={flip: true}", FROM_FILE],
            "distillation.live runs the teacher in training, which has to be a network then",
        ),
    ],
)
def test_views_that_do_not_fit_name_the_field(
    recipe: str, overrides: list[str], expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(RECIPES / f"{recipe}.yaml", overrides)
    assert expected in str(caught.value)


def test_live_views_run_the_teacher_for_those_that_learn_from_it() -> None:
    plain = load_recipe(RECIPES / "digits.yaml")
    live = load_recipe(RECIPES / "digits.yaml", ["distillation.live={cutmix: 1, flip: true}"])
    arms = ("student", "pseudo_label", "hard_label")
    assert [plain.distillation.runs_teacher_for(arm) for arm in arms] == [False, False, False]
    assert [live.distillation.runs_teacher_for(arm) for arm in arms] == [True, True, False]
    assert graph_of(plain) != graph_of(live)
    assert live.distillation.live is not None
    assert live.distillation.live.chosen == ["flip", "cutmix"]


def test_recipe_without_views_is_written_as_before() -> None:
    recipe = load_recipe(RECIPES / "digits.yaml").model_dump(mode="json")
    assert recipe["labelling"]["views"] == {"shift": 0, "noise": 0.0, "count": 1, "seed": 0}
    assert "live" not in recipe["distillation"]
