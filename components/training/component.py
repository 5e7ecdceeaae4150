"""KFP interface of the training steps."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.TRAINING, install_kfp_package=False)
def train_teacher(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    teacher: dict,
    member: int,
    seed: int,
    storage: str,
    model: dsl.Output[dsl.Model],
    digest: dsl.OutputPath(str),
):
    """Train the teacher on the labelled rows, or take over a bundle that exists.

    Of several teachers with `weighting: quality` none is trained on rows that judge them.

    Args:
        dataset: resolved and validated data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        teacher: the recipe's section `teacher`.
        member: which of its teachers, from 0; of source `train` or `bundle`.
        seed: seed of initial weights, order of rows and augmentation; `member` is added to it, so
            that several teachers of one kind differ.
        storage: the recipe's `storage`, where checkpoints go; empty: a retry starts over.
        model: model bundle of the teacher.
        digest: content hash of the bundle, for the steps that read it.
    """
    from pathlib import Path

    from components.shared.recipe.teacher import section_of
    from components.training import steps

    bundle = steps.train_teacher(
        Path(dataset.path),
        dataset_digest,
        section_of(teacher, member),
        seed + member,
        Path(model.path),
        storage,
        teacher if teacher["source"] == "ensemble" else None,
    )
    model.metadata.update(digest=bundle.digest, parameters=bundle.parameters)
    Path(digest).write_text(bundle.digest)


@dsl.component(base_image=images.TRAINING, install_kfp_package=False)
def train_student(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    soft_labels: dsl.Input[dsl.Artifact],
    soft_labels_digest: str,
    arm: str,
    student: dict,
    distillation: dict,
    seed: int,
    storage: str,
    model: dsl.Output[dsl.Model],
    digest: dsl.OutputPath(str),
    stage: int = 0,
    teacher: dsl.Input[dsl.Model] = None,
    teacher_digest: str = "",
    gates: dict = {},  # noqa: B006 - KFP copies it
    network_of: dsl.Input[dsl.Model] = None,
    network_of_digest: str = "",
):
    """Train the student, or one of the baselines that it is compared with.

    Args:
        dataset: resolved and validated data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        soft_labels: soft-label store of the same data set.
        soft_labels_digest: its identity, so that new labels are a new cache key.
        arm: `student` or `assistant` (soft labels), `pseudo_label` (the teacher's argmax) or
            `hard_label` (labels alone).
        student: the recipe's section `student`.
        distillation: the recipe's section `distillation`.
        seed: seed of initial weights and order of rows; for an assistant 1 and its `stage` are
            added, so that generations differ.
        storage: the recipe's `storage`, where checkpoints go; empty: a retry starts over.
        model: model bundle of the arm.
        digest: content hash of the bundle, for the steps that read it.
        stage: which of those that learn before the student, from 0; of the arm `assistant`.
        teacher: who made the soft labels, where the method runs it in training, to look inside.
        teacher_digest: its content hash.
        gates: the recipe's section `gates`, which says what is enough where `student.search` finds
            the smallest student.
        network_of: bundle whose network a baseline takes: the student's, where its size was found.
        network_of_digest: its content hash.
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
        storage,
        stage,
        Path(teacher.path) if teacher else None,
        teacher_digest,
        gates,
        Path(network_of.path) if network_of else None,
        network_of_digest,
    )
    model.metadata.update(digest=bundle.digest, parameters=bundle.parameters)
    Path(digest).write_text(bundle.digest)


@dsl.component(base_image=images.TRAINING, install_kfp_package=False)
def delete_train_jobs(run_id: str):
    """Delete the TrainJobs that steps of a run have left; as its exit task, whatever happened.

    Args:
        run_id: the pipeline run.
    """
    from components.training.trainjob.deleting import delete_train_jobs as delete

    delete(run_id)
