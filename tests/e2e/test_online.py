"""Methods for which other networks, or exits, learn along, from a recipe to the registry."""

from tests.command_line import Workspace


def test_student_that_learned_with_peers_is_deployed_and_named(workspace: Workspace) -> None:
    ended = workspace.distil(
        "out",
        "student.model={family: mlp, hidden: [16]}",
        "student.training={steps: 200, batch_size: 100, learning_rate: 0.01}",
        "distillation.method=[kd, {kind: mutual, peers: 2}, {kind: deeper_exit, exits: [body.1]}]",
        "distillation.temperature=2",
        "distillation.weight=0.5",
        "compression.candidates=[float32]",
        "gates={accuracy: {min: 0.5}, prefer: accuracy}",
    )
    assert ended.status == 0, ended.stderr
    assert ended.summary["arms"]["student"]["accuracy"] > 0.75
    report = (ended.output / "report.html").read_text()
    said = (
        "Method: KD (divergence of soft labels) + mutual learning (2 peers) + deeper exit (teaches"
    )
    assert said in report
