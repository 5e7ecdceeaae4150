"""The search for the smallest student, from a recipe to the registry, on real data."""

from components.shared.bundle import read_bundle
from tests.command_line import Workspace


def test_smallest_student_that_meets_the_gates_is_promoted_against_baselines_of_its_size(
    workspace: Workspace,
) -> None:
    ended = workspace.distil(
        "out",
        "student.model={family: mlp, hidden: [64], activation: gelu}",
        "student.search={widths: [0.03125, 0.25, 0.5]}",
        "compression.candidates=[float32]",
        "gates={accuracy: {min: 0.75}, agreement: {min: 0.75}, prefer: accuracy}",
    )
    assert ended.status == 0, ended.stderr
    arms = ended.summary["arms"]
    assert arms["student"]["accuracy"] > 0.75
    assert len({arms[arm]["parameters"] for arm in ("student", "hard_label", "pseudo_label")}) == 1
    (folder,) = ended.output.glob("pipeline/*/train-student/model")
    student = read_bundle(folder)
    assert student.parameters == arms["student"]["parameters"] == 1210
    assert student.selection is not None
    assert student.selection.size is not None
    assert [one.enough for one in student.selection.size.tried] == [True, False]
    report = (ended.output / "report.html").read_text()
    assert "Size: the smallest of 4 that is enough" in report
