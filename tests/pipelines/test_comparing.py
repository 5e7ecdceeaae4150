"""What a comparison of methods says of its trials, and how it names what it cannot compare."""

import math
from datetime import UTC, datetime
from pathlib import Path
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.shared.bundle import Candidate
from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe
from components.shared.results import PairedCounts
from pipelines.cli.comparing import seconds_left
from pipelines.comparing.methods import (
    METHODS,
    has_own_splits,
    parse_methods,
    recipe_of_seed,
    section_of,
)
from pipelines.comparing.page import render_page
from pipelines.comparing.records import LeftOut, MethodComparison, Trial
from pipelines.comparing.results import compared
from pipelines.comparing.running import Task, tasks_of
from pipelines.comparing.statistics import mean_of, standing
from pipelines.comparing.table import as_table
from tests.command_line import DIGITS
from tests.evaluation.browser import CHROMIUM, measure


def trial(
    method: str, seed: int, student: float, hard: float = 0.9, teacher: float = 0.98
) -> Trial:
    gap = teacher - hard
    accuracies = {"teacher": teacher, "hard_label": hard, "pseudo_label": 0.94, "student": student}
    return Trial(
        key="k",
        method=method,
        seed=seed,
        rows=500,
        arms={
            arm: {"accuracy": value} | ({} if arm == "teacher" else {"agreement": value})
            for arm, value in accuracies.items()
        },
        paired=PairedCounts(both=1, only_student=1, only_other=1, neither=1),
        gap_recovered=(student - hard) / gap if gap > 0 else None,
        chosen=Candidate(steps=1600, temperature=2.0, weight=0.9),
        tried=4,
        seconds=3.0,
    )


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def together(trials: list[Trial], *methods: str) -> MethodComparison:
    return compared("digits", "builtin://digits", True, methods, trials, datetime.now(UTC))


TRAINED = {
    "source": "train",
    "model": {"family": "cnn", "channels": [4]},
    "training": {"steps": 10},
}
CONFIDENCES = (0.5, 0.9, 0.95, 0.99)
QUANTILES = {
    1: (1.0, 6.31375151468, 12.7062047362, 63.6567411629),
    2: (0.816496580928, 2.91998558035, 4.30265272975, 9.92484320092),
    3: (0.764892328404, 2.3533634348, 3.18244630528, 5.84090930973),
    4: (0.740697084113, 2.13184678633, 2.7764451052, 4.60409487135),
    5: (0.7266868438, 2.01504837333, 2.57058183564, 4.03214298356),
    8: (0.706386612645, 1.85954803753, 2.3060041352, 3.35538733133),
    9: (0.702722146751, 1.83311293266, 2.2621571628, 3.24983554159),
    30: (0.682755693321, 1.69726088659, 2.0422724563, 2.74999565357),
}
"""Two-sided, of Student's distribution by degrees of freedom, from its series (Abramowitz & Stegun
26.7.3 and 26.7.4)."""


@pytest.mark.parametrize("freedom", QUANTILES)
@pytest.mark.parametrize("place", range(len(CONFIDENCES)))
def test_intervals_are_those_of_students_distribution(freedom: int, place: int) -> None:
    values = [float(value) for value in range(freedom + 1)]
    found = mean_of(values, CONFIDENCES[place])
    assert found.interval is not None
    reach = QUANTILES[freedom][place] * stdev(values) / math.sqrt(len(values))
    assert found.interval.upper - found.mean == pytest.approx(reach, rel=1e-9)
    assert found.mean - found.interval.lower == pytest.approx(reach, rel=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9))
def test_the_interval_is_about_the_mean(values: list[float]) -> None:
    found = mean_of(values, 0.95)
    assert found.interval is not None
    assert found.interval.lower <= found.mean <= found.interval.upper


def test_one_seed_has_no_interval_and_shows_nothing() -> None:
    found = mean_of([0.05], 0.95)
    assert found.interval is None
    assert standing(found) == "level"


def test_a_gain_is_ahead_only_where_its_interval_leaves_out_zero() -> None:
    assert standing(mean_of([0.04, 0.05, 0.06], 0.95)) == "ahead"
    assert standing(mean_of([-0.04, 0.05, 0.06], 0.95)) == "level"
    assert standing(mean_of([-0.04, -0.05, -0.06], 0.95)) == "behind"


def test_means_are_over_seeds_and_gains_are_paired_by_seed() -> None:
    found = together(
        [trial("kd", 0, 0.94, hard=0.90), trial("kd", 1, 0.95, hard=0.92, teacher=0.96)], "kd"
    )
    kd = found.contender("kd")
    assert kd.gain is not None
    assert kd.gain.values == pytest.approx([0.04, 0.03])
    assert kd.gap_recovered is not None
    assert kd.gap_recovered.values == pytest.approx([0.5, 0.75])
    assert found.contender("hard_label").accuracy.mean == pytest.approx(0.91)
    assert [one.name for one in found.contenders] == ["teacher", "hard_label", "pseudo_label", "kd"]


@pytest.mark.parametrize(
    ("students", "says"),
    [
        ((0.96, 0.961, 0.962), "distillation helped"),
        ((0.86, 0.95, 0.90), "whether distillation helped is not shown"),
        ((0.85, 0.851, 0.852), "distillation made the student worse"),
    ],
)
def test_the_sentence_says_no_more_than_the_interval(
    students: tuple[float, ...], says: str
) -> None:
    found = together([trial("kd", seed, value) for seed, value in enumerate(students)], "kd")
    (sentence,) = found.sentences
    assert says in sentence
    assert "over 3 seeds" in sentence


def test_a_teacher_that_is_not_ahead_leaves_no_gap() -> None:
    found = together([trial("kd", seed, 0.95, hard=0.98, teacher=0.97) for seed in (0, 1)], "kd")
    assert found.contender("kd").gap_recovered is None
    assert "no gap to close" in found.sentences[0]
    assert "distillation made the student worse: \N{MINUS SIGN}3.0 points" in plain(
        found.sentences[0]
    )


def test_a_gap_that_the_seeds_do_not_show_has_no_shares() -> None:
    """One of a thousandth among others would be most of their mean."""
    gaps = (0.001, 0.02, 0.004)
    trials = [trial("kd", seed, 0.97, hard=0.96, teacher=0.96 + g) for seed, g in enumerate(gaps)]
    found = together(trials, "kd")
    assert found.contender("kd").gap_recovered is None
    assert "distillation helped: +1.0 points" in plain(found.sentences[0])


def test_seeds_on_the_same_rows_say_so() -> None:
    trials = [trial("kd", seed, 0.95) for seed in (0, 1)]
    found = compared("r", "builtin://r", False, ["kd"], trials, datetime.now(UTC))
    assert found.sentences[-1].startswith("All seeds have the same rows")
    assert "same rows" in as_table(found)


def test_page_and_table_show_every_method_and_need_nothing_else() -> None:
    trials = [trial(name, seed, 0.95 + seed / 100) for seed in (0, 1) for name in ("kd", "dist")]
    found = together(trials, "kd", "dist")
    page, table = render_page(found), as_table(found)
    for name in ("kd", "dist"):
        assert f">{name}<" in page
        assert f"\n| {name} |" in table
    drawings = 2  # for wide and narrow windows
    assert page.count('class="seed arm-') == drawings * 2 * len(found.contenders)
    assert page.count('class="whisker arm-') == drawings * len(found.contenders)
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_method_that_was_left_out_is_named_with_its_reason_and_the_rest_is_compared() -> None:
    left_out = LeftOut(method="dist", seed=1, reason="dist needs three classes | or more")
    trials = [trial("kd", seed, 0.95) for seed in (0, 1)]
    found = compared("r", "builtin://r", True, ["kd"], trials, datetime.now(UTC), [left_out])
    assert [one.name for one in found.contenders if one.kind == "method"] == ["kd"]
    assert found.left_out == [left_out]
    assert "- dist was left out: dist needs three classes &#124; or more" in as_table(found)
    assert "\n| dist |" not in as_table(found)
    assert "dist was left out: dist needs three classes | or more" in render_page(found)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to render with")
def test_letters_of_the_picture_can_be_read_on_a_phone(tmp_path: Path) -> None:
    names = ("soft_cross_entropy+similarity_preserving", "kd")
    trials = [trial(name, seed, 0.95 + seed / 100) for seed in (0, 1) for name in names]
    page = render_page(together(trials, *names))
    for found in measure(tmp_path, {"methods": page}, widths=(360, 768, 1440)):
        assert found["scroll"] <= found["width"], found
        assert found["outside"] == [], found
        assert found["least_letters"] >= 10, found


def test_names_are_taken_in_their_order() -> None:
    assert parse_methods("dist, kd,auto") == ["dist", "kd", "auto"]


def test_several_objectives_are_one_method(digits_recipe: Recipe) -> None:
    from components.shared.recipe import DistillationSpec, parse_section

    assert parse_methods("kd, kd + fitnet") == ["kd", "kd+fitnet"]
    section = section_of(digits_recipe, "kd+fitnet")
    spec = parse_section(DistillationSpec, section, "distillation")
    assert [one.kind for one in spec.objectives] == ["kd", "fitnet"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kd,dits", "--methods: dits is no method; did you mean dist?"),
        ("xyz", "there are " + ", ".join(METHODS)),
        ("kd,online_teacher", "online_teacher needs settings"),
        ("kd,kd", "kd is given twice"),
        (",", "name some of"),
        ("kd+", r"kd\+ lacks a name beside a plus"),
        ("kd+dits", "dits is no method; did you mean dist"),
        ("kd+auto", r"kd\+auto is no method; auto stands alone"),
        ("kd+kd", r"kd\+kd has an objective twice"),
        ("kd+dist,dist+kd", r"dist\+kd is given twice"),
    ],
)
def test_wrong_names_are_refused_with_a_suggestion(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_methods(text)


def test_teacher_from_elsewhere_keeps_the_split_that_it_may_have_learned_from() -> None:
    bundle = {"source": "bundle", "uri": "/runs/teacher"}
    recipe = load_recipe(DIGITS, [f"teacher={bundle}"])
    assert not has_own_splits(recipe)
    assert recipe_of_seed(recipe, 5).data == recipe.data
    member = {"teacher": bundle}
    for members, own in (([member, member], False), ([{"teacher": TRAINED}] * 2, True)):
        ensemble = {"source": "ensemble", "members": members}
        assert has_own_splits(load_recipe(DIGITS, [f"teacher={ensemble}"])) == own


def test_each_seed_has_its_own_split_and_no_champion() -> None:
    recipe = load_recipe(DIGITS, ["seed=3", "validation.drift={max_psi: 0.2}"])
    moved = recipe_of_seed(recipe, 5)
    assert (moved.seed, moved.data.split.seed) == (5, 2)
    assert recipe_of_seed(recipe, 3).data == recipe.data
    assert moved.validation.drift is None


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_section_that_is_valid(method: str, digits_recipe: Recipe) -> None:
    from components.shared.recipe import DistillationSpec, parse_section

    section = section_of(digits_recipe, method)
    spec = parse_section(DistillationSpec, section, "distillation")
    if method == "auto":
        assert spec.method == "auto"
    elif method != "recipe":
        assert [one.kind for one in spec.objectives] == [method]
    assert spec.weight == digits_recipe.distillation.weight


def test_time_left_goes_by_tasks_of_the_same_kind() -> None:
    tasks = tasks_of([0, 1], ["kd", "auto"])
    assert [task.method for task in tasks] == [None, "kd", "auto"] * 2
    assert seconds_left(tasks, []) is None
    spent = [(Task(0, None), 30.0), (Task(0, "kd"), 6.0), (Task(0, "auto"), 60.0)]
    assert seconds_left(tasks[3:], spent) == pytest.approx(96.0)
    assert seconds_left(tasks[1:3], spent[:1]) == pytest.approx(60.0)


def test_compare_refuses_a_wrong_name_before_anything_runs(command: object, tmp_path: Path) -> None:
    done = command(tmp_path, "compare", DIGITS, "--methods", "kd,atuo", "--output", "out")  # type: ignore[operator]
    assert done.status == 2
    assert "did you mean auto?" in done.stderr
    assert not (tmp_path / "out").exists()
