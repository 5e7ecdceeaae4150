"""Assistants as the steps make them: each learns, labels for the next, and is written down."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.shared.bundle import ModelBundle, load_network, read_bundle
from components.shared.lineage import Stage, after
from components.shared.soft_labels import read_manifest
from components.shared.storage import LocalStorage
from components.training import steps
from tests.training.labelled_digits import (
    DISTILLATION,
    STUDENT,
    TEACHER,
    Labelled,
    digest_of_data,
    label,
)

CHAIN: dict[str, Any] = {
    **DISTILLATION,
    "assistants": [
        {
            "model": {"family": "mlp", "hidden": [24.0]},
            "distillation": {"method": "dist", "temperature": [4.0], "weight": [1.0]},
        }
    ],
    "generations": 2.0,
}


@pytest.fixture(scope="module")
def chain(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A teacher, an assistant, a generation before the student, and the student."""
    folder = tmp_path_factory.mktemp("chain")
    data = digest_of_data(digits)
    bundles: list[ModelBundle] = [steps.train_teacher(digits, data, TEACHER, 0, folder / "0", "")]
    for number, (arm, stage) in enumerate(
        (("assistant", 0), ("assistant", 1), ("student", 0)), start=1
    ):
        store = folder / f"labels-{number - 1}"
        digest = label(digits, folder / f"{number - 1}", store)
        bundles.append(
            steps.train_student(
                digits, data, str(store), digest, arm, STUDENT, CHAIN, 0,
                folder / f"{number}", "", stage,
            )
        )  # fmt: skip
    return {"bundles": bundles, "folder": folder}


def test_stages_have_their_own_networks_methods_and_seeds(chain: dict[str, Any]) -> None:
    _, assistant, generation, student = chain["bundles"]
    assert [one.role for one in (assistant, generation, student)] == [
        "assistant",
        "assistant",
        "student",
    ]
    assert (assistant.model.hidden, generation.model.hidden) == ([24], [16])
    assert generation.model == student.model
    chosen = assistant.selection.candidates[assistant.selection.chosen]
    assert [one.kind for one in chosen.method] == ["dist"]
    assert (chosen.temperature, chosen.weight) == (4, 1)
    assert [one.seed for one in (assistant, generation, student)] == [1, 2, 0]


def test_every_bundle_and_store_names_the_stages_before_it(chain: dict[str, Any]) -> None:
    teacher, assistant, generation, student = chain["bundles"]
    assert teacher.assistants == assistant.assistants == []
    assert [stage.digest for stage in generation.assistants] == [assistant.digest]
    assert [stage.digest for stage in student.assistants] == [assistant.digest, generation.digest]
    stage = student.assistants[0]
    assert (stage.model, stage.parameters) == (assistant.model, assistant.parameters)
    chosen = assistant.selection.candidates[assistant.selection.chosen]
    assert (stage.steps, stage.agreement) == (chosen.steps, chosen.score)
    assert stage.method.startswith("DIST")
    for number, written in enumerate(([], student.assistants[:1], student.assistants)):
        store = LocalStorage(chain["folder"] / f"labels-{number}")
        manifest = read_manifest(store)
        assert manifest.assistants == written
        if written:
            assert manifest.accuracy == written[-1].accuracy
            assert manifest.identity.teachers[0].digest == written[-1].digest
    plain = json.loads((chain["folder"] / "labels-0" / "manifest.json").read_text())
    assert "assistants" not in plain, "stores of teachers are what they were"


def test_student_learns_from_the_last_stage_and_not_from_the_teacher(
    chain: dict[str, Any],
) -> None:
    _, assistant, generation, student = chain["bundles"]
    stores = [read_manifest(LocalStorage(chain["folder"] / f"labels-{n}")) for n in range(3)]
    assert [one.soft_labels_digest for one in (assistant, generation, student)] == [
        store.identity.digest for store in stores
    ]
    again, network = load_network(chain["folder"] / "3", student.digest)
    assert again == read_bundle(chain["folder"] / "3")
    assert sum(weight.numel() for weight in network.parameters()) == student.parameters


def test_stage_that_the_recipe_does_not_have_is_refused(
    labelled: Labelled,
    refused: Any,
) -> None:
    message = refused(labelled.train, "assistant", distillation=CHAIN, stage=2)
    assert message == (
        "stage is 2, but distillation.assistants and generations make 2 that learn before the "
        "student"
    )
    message = refused(labelled.train, "teacher")
    assert "student, hard_label, pseudo_label, assistant, not 'teacher'" in message


def test_chain_begins_after_a_teacher_that_was_an_assistant_itself() -> None:
    earlier = [
        Stage(
            digest=digest,
            model={"family": "mlp"},
            parameters=1,
            steps=1,
            objectives=["kd"],
            agreement=None,
            standard_error=None,
        )
        for digest in "abc"
    ]
    assert [stage.digest for stage in after("b", earlier)] == ["c"]
    assert after("z", earlier) == earlier
    assert after("z", []) == []
