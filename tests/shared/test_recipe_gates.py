"""The recipe's gates: what is refused before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from components.shared.errors import UserError
from components.shared.recipe import Gates, load_recipe, parse_section

DIGITS = Path(__file__).parents[2] / "pipelines" / "recipes" / "digits.yaml"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["gates={}"], "gates: needs at least one gate"),
        (["gates={confidence: 0.9, prefer: size}"], "gates: needs at least one gate"),
        (["gates.latency={}"], "gates.latency: needs at least one of p50_ms"),
        (["gates.latency={ratio_percentile: p95}"], "gates.latency: needs at least one of"),
        (["gates.latency.ratio_percentile=p90"], "gates.latency.ratio_percentile: input should be"),
        (["gates.confidence=0.5"], "gates.confidence: input should be greater than 0.5"),
        (["gates.confidence=1"], "gates.confidence: input should be less than 1"),
        (["gates.worst_slice.min_accuracy=0.9"], "gates.worst_slice needs data.slices"),
        (["gates.log_loss={min: 0.1}"], "gates.log_loss.min: unknown field; "),
        (["gates.champion.max_regression=-0.1"], "gates.champion.max_regression: input should"),
        (["gates.prefer=speed"], "gates.prefer: input should be 'latency', 'size' or 'accuracy'"),
        (
            ["gates.on_noise=ratio_only", "gates.latency={p95_ms: 1}"],
            "on a noisy machine nothing would be judged",
        ),
        (["gates.auroc.min=.inf"], "gates.auroc.min: input should be"),
    ],
)
def test_error_names_the_gate_and_what_is_wrong(overrides: list[str], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(DIGITS, overrides)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "latency",
    [
        {"ratio_to_champion": 1.1},
        {"p95_ms": 1, "ratio_to_teacher": 1.1},
        {"p95_ms": 1, "ratio_to_champion": 1.1},
    ],
)
def test_ratios_may_judge_alone_in_noise_where_there_are_some(latency: dict[str, Any]) -> None:
    gates = parse_section(Gates, {"latency": latency, "on_noise": "ratio_only"}, "gates")
    assert gates.latency is not None


def test_noise_needs_no_ratio_where_no_latency_is_limited() -> None:
    gates = {"size": {"max_bytes": 1000.0}, "on_noise": "ratio_only"}
    assert parse_section(Gates, gates, "gates").size is not None


def test_policies_are_cautious_where_a_champion_got_lost_and_not_at_the_first_model() -> None:
    gates = parse_section(Gates, {"size": {"max_bytes": 1}}, "gates")
    assert (gates.first_model, gates.on_missing_champion) == ("promote", "reject")
    assert (gates.on_noise, gates.prefer, gates.confidence) == ("judge", "latency", 0.95)
