"""KFP interface of the compression step."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.COMPRESSION, install_kfp_package=False)
def compress_student(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    soft_labels: dsl.Input[dsl.Artifact],
    soft_labels_digest: str,
    teacher_labels: dsl.Input[dsl.Artifact],
    teacher_labels_digest: str,
    student: dsl.Input[dsl.Model],
    student_digest: str,
    teacher: dsl.Input[dsl.Model],
    teacher_digest: str,
    hard_label: dsl.Input[dsl.Model],
    hard_label_digest: str,
    pseudo_label: dsl.Input[dsl.Model],
    pseudo_label_digest: str,
    student_spec: dict,
    compression: dict,
    seed: int,
    candidates: dsl.Output[dsl.Model],
    teacher_onnx: dsl.Output[dsl.Model],
    hard_label_onnx: dsl.Output[dsl.Model],
    pseudo_label_onnx: dsl.Output[dsl.Model],
):
    """Make the deployable forms of the student, and export the other arms to ONNX.

    Each file has preprocessing in the graph and is compared with its torch model on real rows. All
    arms are exported, so that all are measured in the form in which they would be deployed.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        soft_labels: soft-label store that the student learned from, for the forms that learn on.
        soft_labels_digest: its identity, so that new labels are a new cache key.
        teacher_labels: the teacher's own soft-label store, for what a teacher that is no file said
            of the test rows; the same one where no assistant is between them.
        teacher_labels_digest: its identity.
        student: model bundle of the student.
        student_digest: its content hash, so that a new student is a new cache key.
        teacher: artifact of the teacher: a model bundle, or the record of an imported one.
        teacher_digest: its content hash.
        hard_label: model bundle of the hard-label arm.
        hard_label_digest: its content hash.
        pseudo_label: model bundle of the pseudo-label arm.
        pseudo_label_digest: its content hash.
        student_spec: the recipe's section `student`.
        compression: the recipe's section `compression`.
        seed: seed of calibration rows and of the order in which a form learns on.
        candidates: candidate set of the student; `float32` is always in it.
        teacher_onnx: deployable teacher; of one that is no file, what it said of the test rows.
        hard_label_onnx: deployable hard-label arm.
        pseudo_label_onnx: deployable pseudo-label arm.
    """
    from pathlib import Path

    from components.compression import steps

    bundles = {
        "teacher": (teacher, teacher_digest),
        "student": (student, student_digest),
        "hard_label": (hard_label, hard_label_digest),
        "pseudo_label": (pseudo_label, pseudo_label_digest),
    }
    outputs = {
        "teacher": teacher_onnx,
        "hard_label": hard_label_onnx,
        "pseudo_label": pseudo_label_onnx,
    }
    steps.compress(
        Path(dataset.path),
        dataset_digest,
        (Path(soft_labels.path), soft_labels_digest),
        (Path(teacher_labels.path), teacher_labels_digest),
        {arm: (Path(artifact.path), digest) for arm, (artifact, digest) in bundles.items()},
        student_spec,
        compression,
        seed,
        Path(candidates.path),
        {arm: Path(artifact.path) for arm, artifact in outputs.items()},
    )
