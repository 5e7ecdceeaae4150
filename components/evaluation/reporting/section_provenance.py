"""The content hashes in a report, from the data to the deployed file."""

from components.evaluation.reporting.arm_titles import arm_titles
from components.evaluation.reporting.listing import plain
from components.shared.bundle import ModelBundle
from components.shared.lineage import after
from components.shared.results import ArmName, Decision, Evaluation
from components.shared.teacher import TeacherRecord


def digests(
    evaluation: Evaluation,
    decision: Decision,
    bundles: dict[ArmName, ModelBundle],
    imported_teacher: TeacherRecord | None,
    teacher_digest: str,
) -> dict[str, str]:
    """Content hashes by what they identify."""
    titles = arm_titles(evaluation)
    found = {"Data set measured on": evaluation.dataset_digest}
    if evaluation.champion_dataset_digest is not None:
        found["Champion's data set"] = evaluation.champion_dataset_digest
    store = bundles["student"].soft_labels_digest
    if store is not None:
        found["Soft-label store"] = store
    if imported_teacher is not None:
        found["Teacher, description"] = imported_teacher.digest
    if evaluation.served_teacher is not None:
        found["Teacher, predictions"] = evaluation.served_teacher.predictions_digest
    found |= {
        f"Assistant {number}, model bundle": stage.digest
        for number, stage in enumerate(after(teacher_digest, bundles["student"].assistants), 1)
    }
    found |= {f"{titles[name]}, model bundle": bundles[name].digest for name in bundles}
    found |= {
        f"{title}, ONNX file": evaluation.arms[name].model_digest
        for name, title in titles.items()
        if name in evaluation.arms
    }
    if not plain(evaluation):
        found |= {
            f"Candidate {candidate.name}, ONNX file": candidate.measured.model_digest
            for candidate in evaluation.candidates
        }
    return found | {"ONNX file the verdict is on": decision.student_digest}
