"""Teacher and student see the same view, stored or live, from a recipe to the registry."""

import json
from typing import Any

from tests.command_line import Workspace


def views_of_the_store(workspace: Workspace) -> dict[str, Any]:
    (store,) = workspace.folder.glob(".kubedistill/storage/soft-labels/*/manifest.json")
    views: dict[str, Any] = json.loads(store.read_text())["identity"]["views"]
    return views


def test_all_arms_learn_stored_views_that_the_teacher_labelled(workspace: Workspace) -> None:
    ended = workspace.distil(
        "out", "labelling.views={count: 3, crop: {least: 0.6}, shift: 1, cutmix: 1}"
    )
    assert ended.status in (0, 3), ended.stderr
    views = views_of_the_store(workspace)
    assert views["crop"] == {"least": 0.6, "most": 1.0, "interpolation": "bilinear"}
    assert (views["shift"], views["cutmix"], views["seeds"]) == (1, 1.0, [1, 2])
    arms = ended.summary["arms"]
    for name in ("student", "hard_label", "pseudo_label"):
        assert arms[name]["accuracy"] > 0.5


def test_teacher_that_labels_live_teaches_mixed_rows(workspace: Workspace) -> None:
    ended = workspace.distil("out", "distillation.live={mixup: 0.2, shift: 1}")
    assert ended.status in (0, 3), ended.stderr
    assert views_of_the_store(workspace)["seeds"] == []
    arms = ended.summary["arms"]
    for name in ("student", "hard_label", "pseudo_label"):
        assert arms[name]["accuracy"] > 0.5
