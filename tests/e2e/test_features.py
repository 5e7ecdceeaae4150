"""Methods that look inside the teacher, from a recipe to the registry."""

import pytest

from tests.command_line import Workspace


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (
            "[kd, {kind: fitnet, weight: 10, layers: [{student: body.3, teacher: body.6}]}, "
            "{kind: attention_transfer, weight: 100}]",
            "10 · FitNet (hints, layers body.3 to body.6) + 100 · attention transfer",
        ),
        ("[kd, {kind: rkd, weight: 0.1}]", "0.1 · RKD (distance 25, angle 50)"),
    ],
    ids=["hints and attention", "relations"],
)
def test_student_that_looked_inside_its_teacher_is_deployed_and_named(
    workspace: Workspace, method: str, words: str
) -> None:
    ended = workspace.distil(
        "out",
        "student.model={family: cnn, channels: [8], hidden: 16}",
        "student.training={steps: 60, batch_size: 100, learning_rate: 0.01}",
        f"distillation={{method: {method}, temperature: 2, weight: 0.9}}",
        "compression.candidates=[float32, {kind: pruned, steps: 20}]",
        "gates={accuracy: {min: 0.5}, prefer: accuracy}",
    )
    assert ended.status == 0, ended.stderr
    assert ended.summary["arms"]["student"]["accuracy"] > 0.75
    report = (ended.output / "report.html").read_text()
    assert f"Method: KD (divergence of soft labels) + {words}" in report
