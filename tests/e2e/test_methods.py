"""Methods of distillation from a recipe to the registry, on real data."""

import json
from pathlib import Path

import pytest

from tests.command_line import DIGITS, ROOT, Workspace

OBJECTIVES = ROOT / "pipelines" / "recipes" / "objectives.yaml"
COMPOSED = (
    "0.5 · KD (divergence of soft labels), temperature 4 → 1 + "
    "(0 → 1 over 0.2 of the training) · DIST (correlations, beta 2, gamma 2) + "
    "0.25 · pseudo-labels of at least 0.9 confidence"
)


@pytest.mark.parametrize(
    ("recipe", "overrides", "words"),
    [
        (OBJECTIVES, (), COMPOSED),
        (
            DIGITS,
            ("distillation.method={kind: dkd, beta: 2, standardise: true}",),
            "DKD (decoupled divergence, alpha 1, beta 2), standardised logits",
        ),
    ],
    ids=["composed", "one"],
)
def test_method_is_trained_recovers_a_pruned_form_and_is_named(
    workspace: Workspace, recipe: Path, overrides: tuple[str, ...], words: str
) -> None:
    ended = workspace.distil(
        "out",
        "compression.candidates=[float32, {kind: pruned, steps: 100}]",
        "gates={accuracy: {min: 0.6}, prefer: accuracy}",
        *overrides,
        recipe=recipe,
    )
    assert ended.status == 0, ended.stderr
    arms = ended.summary["arms"]
    assert arms["student"]["accuracy"] > 0.75
    (written,) = ended.output.glob("pipeline/*/compress-student/candidates/candidates.json")
    made = json.loads(written.read_text())
    assert [one["name"] for one in made["candidates"]] == ["float32", "pruned_channels_50"]
    assert f"Method: {words}" in (ended.output / "report.html").read_text()
