"""The recipe's methods of distillation: what may be written, and what is said of the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.shared.bundle import Candidate
from components.shared.errors import UserError
from components.shared.recipe import DistillationSpec, load_recipe, parse_section
from components.shared.recipe.objectives import Kd, Schedule, described, shown, value_at

DIGITS = Path(__file__).parents[2] / "pipelines" / "recipes" / "digits.yaml"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("dkd", "DKD (decoupled divergence, alpha 1, beta 8)"),
        ("{kind: dist, gamma: 1}", "DIST (correlations, beta 2, gamma 1)"),
        (
            "[kd, {kind: pseudo_label, weight: 0.5}]",
            "KD (divergence of soft labels) + 0.5 · pseudo-labels",
        ),
        ("{kind: logit_mse, weight: 0.1}", "0.1 · logit MSE (squared distance of logits)"),
        ("{kind: soft_cross_entropy, temperature: 3}", "soft cross-entropy, temperature 3"),
    ],
)
def test_method_is_a_name_an_objective_or_a_list(written: str, words: str) -> None:
    recipe = load_recipe(DIGITS, [f"distillation.method={written}"])
    assert described(recipe.distillation.objectives) == words


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("method={kind: dkd, alhpa: 1}", "alhpa: unknown field; did you mean alpha?"),
        ("method={kind: logit_mse, standardise: true}", "standardise: unknown field"),
        ("method=[kd, kd]", "kd is listed twice with the same settings; raise its weight"),
        ("method=[]", "list should have at least 1 item"),
        ("method={kind: kd, weight: 0}", "weight: input should be greater than 0, not 0"),
        ("method={kind: kd, weight: {start: 1}}", "weight.end: is required"),
        ("method={kind: kd, temperature: {start: 0, end: 1}}", "temperature: a temperature is ab"),
        ("temperature={start: 1, end: 1}", "temperature[0]: start and end are the same; write th"),
        ("method=dkdd", "method: should be one of auto, kd, dkd, dist, soft_cross_entropy, logit"),
    ],
)
def test_mistake_in_a_method_is_named(override: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(DIGITS, [f"distillation.{override}"])
    assert expected in str(caught.value)
    assert "distillation." in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["method=dist", "classes"], "distillation.method: dist needs three classes or more"),
        (["method={kind: kd, standardise: true}", "topk"], "kd with standardise needs the teacher"),
        (["method=logit_mse", "topk"], "or set labelling.representation to dense"),
    ],
)
def test_method_that_the_labels_cannot_teach_is_refused_before_the_run(
    overrides: list[str], expected: str
) -> None:
    settings = {"classes": "data.classes=[a, b]", "topk": "labelling.representation=topk"}
    with pytest.raises(UserError) as caught:
        load_recipe(DIGITS, [f"distillation.{overrides[0]}", settings[overrides[1]]])
    assert expected in str(caught.value)


def test_method_survives_the_trip_through_pipeline_parameters() -> None:
    method = [{"kind": "dkd", "weight": {"start": 0, "end": 2, "over": 0.2}}, "pseudo_label"]
    spec = parse_section(DistillationSpec, {"method": method, "temperature": 3}, "distillation")
    carried: dict[str, Any] = json.loads(spec.model_dump_json(exclude_none=True), parse_int=float)
    assert parse_section(DistillationSpec, carried, "distillation") == spec


def test_schedule_is_linear_and_then_stays() -> None:
    schedule = Schedule(start=4, end=1, over=0.5)
    assert [schedule.at(share) for share in (0, 0.25, 0.5, 1)] == [4, 2.5, 1, 1]
    assert value_at(2.0, 0.3) == 2.0
    assert (shown(2.0), shown(schedule)) == ("2", "4 → 1 over 0.5 of the training")


def test_record_without_a_method_is_of_kd_and_stays_as_it_was() -> None:
    """So that digests of bundles that are older than the choice do not change."""
    old = {"steps": 5, "temperature": 2.0, "weight": 0.9, "score": None, "standard_error": None}
    candidate = Candidate.model_validate(old)
    assert candidate.model_dump() == old
    assert candidate.method == [Kd(kind="kd")]
    assert Candidate(steps=5).method == []
