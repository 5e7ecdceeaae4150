"""KFP interface of the compression step."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.TORCH, install_kfp_package=False)
def compress_student(
    dataset: dsl.Input[dsl.Dataset],
    student: dsl.Input[dsl.Model],
    teacher: dsl.Input[dsl.Model],
    hard_label: dsl.Input[dsl.Model],
    pseudo_label: dsl.Input[dsl.Model],
    student_onnx: dsl.Output[dsl.Model],
    teacher_onnx: dsl.Output[dsl.Model],
    hard_label_onnx: dsl.Output[dsl.Model],
    pseudo_label_onnx: dsl.Output[dsl.Model],
):
    """Export all arms to ONNX with preprocessing in the graph, and check them on real rows.

    Every arm is exported, so that all are measured in the form in which they would be deployed.

    Args:
        dataset: resolved data set.
        student: model bundle of the student.
        teacher: model bundle of the teacher.
        hard_label: model bundle of the hard-label arm.
        pseudo_label: model bundle of the pseudo-label arm.
        student_onnx: deployable student.
        teacher_onnx: deployable teacher.
        hard_label_onnx: deployable hard-label arm.
        pseudo_label_onnx: deployable pseudo-label arm.
    """
    from pathlib import Path

    from components.compression import steps

    bundles = {
        "teacher": teacher,
        "student": student,
        "hard_label": hard_label,
        "pseudo_label": pseudo_label,
    }
    outputs = {
        "teacher": teacher_onnx,
        "student": student_onnx,
        "hard_label": hard_label_onnx,
        "pseudo_label": pseudo_label_onnx,
    }
    steps.compress(
        Path(dataset.path),
        {arm: Path(artifact.path) for arm, artifact in bundles.items()},
        {arm: Path(artifact.path) for arm, artifact in outputs.items()},
    )
