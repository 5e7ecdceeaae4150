"""KFP interface of the training steps."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.TORCH, install_kfp_package=False)
def train_teacher(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    teacher: dict,
    seed: int,
    model: dsl.Output[dsl.Model],
    digest: dsl.OutputPath(str),
):
    """Train the teacher on the labelled rows, or take over a bundle that exists.

    Args:
        dataset: resolved and validated data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        teacher: the recipe's section `teacher`.
        seed: seed of initial weights, order of rows and augmentation.
        model: model bundle of the teacher.
        digest: content hash of the bundle, for the steps that read it.
    """
    from pathlib import Path

    from components.training import steps

    bundle = steps.train_teacher(
        Path(dataset.path), dataset_digest, teacher, seed, Path(model.path)
    )
    model.metadata.update(digest=bundle.digest, parameters=bundle.parameters)
    Path(digest).write_text(bundle.digest)


@dsl.component(base_image=images.TORCH, install_kfp_package=False)
def train_student(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    soft_labels: dsl.Input[dsl.Artifact],
    soft_labels_digest: str,
    arm: str,
    student: dict,
    distillation: dict,
    seed: int,
    model: dsl.Output[dsl.Model],
    digest: dsl.OutputPath(str),
):
    """Train the student, or one of the baselines that it is compared with.

    Args:
        dataset: resolved and validated data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        soft_labels: soft-label store of the same data set.
        soft_labels_digest: its identity, so that new labels are a new cache key.
        arm: `student` (soft labels), `pseudo_label` (the teacher's argmax) or `hard_label`
            (labels alone).
        student: the recipe's section `student`.
        distillation: the recipe's section `distillation`.
        seed: seed of initial weights and order of rows.
        model: model bundle of the arm.
        digest: content hash of the bundle, for the steps that read it.
    """
    from pathlib import Path

    from components.training import steps

    bundle = steps.train_student(
        Path(dataset.path),
        dataset_digest,
        soft_labels.path,
        soft_labels_digest,
        arm,
        student,
        distillation,
        seed,
        Path(model.path),
    )
    model.metadata.update(digest=bundle.digest, parameters=bundle.parameters)
    Path(digest).write_text(bundle.digest)
