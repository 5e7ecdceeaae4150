"""What is to be stored, and in what portions: decided from recipe, data set and teacher alone."""

import math

from components.shared.errors import UserError
from components.shared.manifest import DatasetManifest
from components.shared.recipe.labelling import LabellingSpec
from components.shared.soft_labels import StoreIdentity, TeacherRef
from components.shared.training.augmentation import as_views
from components.soft_labels.teachers.protocol import Teacher

_DENSE_CLASSES = 256
"""Most classes of which ``auto`` keeps all logits."""
_PIECE_BYTES = 64 * 2**20
_PIECE_ROWS = (256, 65_536)
_BATCH_BYTES = 2**20
"""Of inputs: about what a processor's cache holds next to a layer's outputs."""
_BATCH_ROWS = (16, 1_024)


def store_identity(
    teacher: Teacher, manifest: DatasetManifest, spec: LabellingSpec, noise: list[float]
) -> StoreIdentity:
    """The identity of the labels that ``teacher`` gives to a data set.

    Args:
        teacher: one that fits the data set.
        manifest: of the data set.
        spec: the recipe's section ``labelling``.
        noise: standard deviation of the noise of each column; empty where views have none.

    Raises:
        UserError: the section asks for what the data do not allow.
    """
    _check(spec, manifest)
    classes = len(manifest.classes)
    dense = (
        spec.representation == "dense"
        or (spec.representation == "auto" and classes <= _DENSE_CLASSES)
        or len(teacher.classes) <= spec.k
    )
    seeds = [spec.views.seed + view for view in range(1, spec.views.count)]
    views = as_views(spec.views, manifest.input, noise, seeds)
    logits = views.count * classes
    return StoreIdentity(
        dataset_digest=manifest.digest,
        teachers=[TeacherRef(digest=teacher.digest, weight=1.0)],
        classes=teacher.classes,
        preprocessing_digest=teacher.preprocessing_digest,
        representation="dense" if dense else "topk",
        k=None if dense else spec.k,
        views=views,
        piece_rows=spec.shard_rows or piece_rows(manifest.input.shape, logits),
    )


def piece_rows(shape: tuple[int, ...], logits: int) -> int:
    """Rows of a piece, which is in memory as a whole, with its logits.

    Args:
        shape: of one row.
        logits: of one row, all views together.
    """
    return _rows_of(_PIECE_BYTES, 4 * (math.prod(shape) + logits), *_PIECE_ROWS)


def batch_rows(shape: tuple[int, ...]) -> int:
    """Rows of a batch on a CPU.

    It depends on nothing else, since the last bit of a logit may depend on the size of the batch.
    """
    return _rows_of(_BATCH_BYTES, 4 * math.prod(shape), *_BATCH_ROWS)


def _rows_of(size: int, row: int, least: int, most: int) -> int:
    """The power of two with rows of ``row`` bytes that fit into ``size`` bytes, within limits."""
    fitting = max(size // row, 1)
    return min(max(1 << (fitting.bit_length() - 1), least), most)


def _check(spec: LabellingSpec, manifest: DatasetManifest) -> None:
    kind, classes = manifest.input.kind, len(manifest.classes)
    if fault := spec.views.misfit(kind):
        raise UserError(f"labelling.views.{fault}")
    if spec.representation == "topk" and spec.k >= classes:
        raise UserError(
            f"labelling.k: {spec.k} of {classes} classes leave none out; set "
            "labelling.representation to dense, or a smaller k"
        )
