"""KFP interface of the soft-label step."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.TORCH, install_kfp_package=False)
def generate_soft_labels(
    dataset: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    soft_labels: dsl.Output[dsl.Artifact],
    digest: dsl.OutputPath(str),
    threads: int = 1,
):
    """Run the teacher once over all training rows and store its logits.

    Args:
        dataset: resolved data set.
        teacher: model bundle of the teacher; its classes must be the data set's, in its order.
        soft_labels: the soft-label store.
        digest: identity of the store.
        threads: CPU threads.
    """
    from pathlib import Path

    from components.soft_labels import steps

    identity = steps.generate_soft_labels(
        Path(dataset.path), Path(teacher.path), soft_labels.path, threads
    )
    soft_labels.metadata["digest"] = identity
    Path(digest).write_text(identity)
