"""KFP interfaces of the soft-label steps."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.SOFT_LABELS, install_kfp_package=False)
def label_shards(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    teacher: dsl.Input[dsl.Model],
    teacher_digest: str,
    labelling: dict,
    storage: str,
    worker: int,
    of_several: bool = False,
) -> int:
    """Run the teacher over one worker's share of the rows; for a ParallelFor over the workers.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        teacher: artifact of the teacher.
        teacher_digest: its content hash, so that a new teacher is a new cache key.
        labelling: the recipe's section ``labelling``.
        storage: the recipe's ``storage``, where all workers write.
        worker: which of ``labelling.workers``, from 0.
        of_several: whether it is one of several teachers, and may know only some of the classes.

    Returns:
        Rows that the teacher labelled.
    """
    from pathlib import Path

    from components.soft_labels import steps

    return steps.label_shards(
        Path(dataset.path),
        dataset_digest,
        Path(teacher.path),
        teacher_digest,
        labelling,
        storage,
        worker,
        of_several,
    )


@dsl.component(base_image=images.SOFT_LABELS, install_kfp_package=False)
def generate_soft_labels(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    teacher: dsl.Input[dsl.Model],
    teacher_digest: str,
    labelling: dict,
    storage: str,
    soft_labels: dsl.Output[dsl.Artifact],
    digest: dsl.OutputPath(str),
    of_several: bool = False,
):
    """Run the teacher once over all rows that no worker has labelled, and seal its logits.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        teacher: artifact of the teacher; its classes must be the data set's, in its order, unless
            it is one of several.
        teacher_digest: its content hash, so that a new teacher is a new cache key.
        labelling: the recipe's section ``labelling``.
        storage: the recipe's ``storage``; empty where the labels stay with the run.
        soft_labels: the soft-label store, or where it is.
        digest: identity of the store.
        of_several: whether it is one of several teachers, and may know only some of the classes.
    """
    from pathlib import Path

    from components.soft_labels import steps

    manifest = steps.generate_soft_labels(
        Path(dataset.path),
        dataset_digest,
        Path(teacher.path),
        teacher_digest,
        labelling,
        storage,
        Path(soft_labels.path),
        of_several,
    )
    soft_labels.metadata.update(steps.metadata(manifest))
    Path(digest).write_text(manifest.identity.digest)


@dsl.component(base_image=images.SOFT_LABELS, install_kfp_package=False)
def combine_soft_labels(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    teacher: dict,
    storage: str,
    first: dsl.Input[dsl.Artifact],
    first_digest: str,
    second: dsl.Input[dsl.Artifact],
    second_digest: str,
    soft_labels: dsl.Output[dsl.Artifact],
    digest: dsl.OutputPath(str),
    third: dsl.Input[dsl.Artifact] = None,
    third_digest: str = "",
    fourth: dsl.Input[dsl.Artifact] = None,
    fourth_digest: str = "",
    fifth: dsl.Input[dsl.Artifact] = None,
    fifth_digest: str = "",
    sixth: dsl.Input[dsl.Artifact] = None,
    sixth_digest: str = "",
    seventh: dsl.Input[dsl.Artifact] = None,
    seventh_digest: str = "",
    eighth: dsl.Input[dsl.Artifact] = None,
    eighth_digest: str = "",
):
    """Make one store of what several teachers say, by the recipe's `teacher.weighting`.

    KFP takes no list of artifacts that several steps have made, so there is an input for each.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        teacher: the recipe's section `teacher`, of source `ensemble`.
        storage: the recipe's `storage`; empty where the labels stay with the run.
        first: soft-label store of the first teacher.
        first_digest: its identity, so that new labels are a new cache key.
        second: that of the second.
        second_digest: its identity.
        soft_labels: the combined store, or where it is.
        digest: identity of the combined store.
        third: that of the third; left out where there are fewer.
        third_digest: its identity.
        fourth: that of the fourth; left out where there are fewer.
        fourth_digest: its identity.
        fifth: that of the fifth; left out where there are fewer.
        fifth_digest: its identity.
        sixth: that of the sixth; left out where there are fewer.
        sixth_digest: its identity.
        seventh: that of the seventh; left out where there are fewer.
        seventh_digest: its identity.
        eighth: that of the eighth; left out where there are fewer.
        eighth_digest: its identity.
    """
    from pathlib import Path

    from components.soft_labels import steps

    given = [
        (first, first_digest),
        (second, second_digest),
        (third, third_digest),
        (fourth, fourth_digest),
        (fifth, fifth_digest),
        (sixth, sixth_digest),
        (seventh, seventh_digest),
        (eighth, eighth_digest),
    ]
    manifest = steps.combine_soft_labels(
        Path(dataset.path),
        dataset_digest,
        teacher,
        [(Path(store.path), identity) for store, identity in given if store is not None],
        storage,
        Path(soft_labels.path),
    )
    soft_labels.metadata.update(steps.metadata(manifest))
    Path(digest).write_text(manifest.identity.digest)


@dsl.component(base_image=images.SOFT_LABELS, install_kfp_package=False)
def import_teacher(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    teacher: dict,
    member: int,
    tracking_uri: str,
    model: dsl.Output[dsl.Model],
    digest: dsl.OutputPath(str),
):
    """Take over a teacher that was not made here, so that later steps see fixed bytes.

    Never cache this step: an alias moves, and so do the bytes behind a URI.

    Args:
        dataset: resolved data set; the teacher has to take its rows and know its classes.
        dataset_digest: its content digest.
        teacher: the recipe's section `teacher`.
        member: which of its teachers, from 0; of source `mlflow`, `onnx` or `endpoint`.
        tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
        model: artifact of the teacher: `teacher.json`, and the model's files if it has any.
        digest: hash of all that its labels depend on.
    """
    from pathlib import Path

    from components.shared.recipe.teacher import section_of
    from components.soft_labels.teachers import steps

    record = steps.import_teacher(
        Path(dataset.path),
        dataset_digest,
        section_of(teacher, member),
        tracking_uri,
        Path(model.path),
        of_several=teacher["source"] == "ensemble",
    )
    model.metadata.update(digest=record.digest, teacher=record.in_words)
    Path(digest).write_text(record.digest)


@dsl.component(base_image=images.SOFT_LABELS, install_kfp_package=False)
def describe_ensemble(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    teacher: dict,
    soft_labels: dsl.Input[dsl.Artifact],
    soft_labels_digest: str,
    model: dsl.Output[dsl.Model],
    digest: dsl.OutputPath(str),
):
    """Make one teacher artifact of several teachers, for the steps after labelling.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        teacher: the recipe's section `teacher`, of source `ensemble`.
        soft_labels: the store that combine_soft_labels made of all of them, in their order.
        soft_labels_digest: its identity, so that new labels are a new cache key.
        model: artifact of the teacher: `teacher.json`, with the members and their weights.
        digest: hash of all that its labels depend on.
    """
    from pathlib import Path

    from components.soft_labels.teachers import steps

    record = steps.describe_ensemble(
        Path(dataset.path),
        dataset_digest,
        teacher,
        Path(soft_labels.path),
        soft_labels_digest,
        Path(model.path),
    )
    model.metadata.update(digest=record.digest, teacher=record.in_words)
    Path(digest).write_text(record.digest)
