"""KFP interface of the soft-label step."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.TORCH, install_kfp_package=False)
def generate_soft_labels(
    dataset: dsl.Input[dsl.Dataset],
    dataset_digest: str,
    teacher: dsl.Input[dsl.Model],
    teacher_digest: str,
    soft_labels: dsl.Output[dsl.Artifact],
    digest: dsl.OutputPath(str),
):
    """Run the teacher once over all training rows and store its logits.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest, so that new data are a new cache key.
        teacher: model bundle of the teacher; its classes must be the data set's, in its order.
        teacher_digest: its content hash, so that a new teacher is a new cache key.
        soft_labels: the soft-label store.
        digest: identity of the store.
    """
    from pathlib import Path

    from components.soft_labels import steps

    identity = steps.generate_soft_labels(
        Path(dataset.path), dataset_digest, Path(teacher.path), teacher_digest, soft_labels.path
    )
    soft_labels.metadata["digest"] = identity
    Path(digest).write_text(identity)
