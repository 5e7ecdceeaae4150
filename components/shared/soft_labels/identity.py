"""What a soft-label store is: the identity of its labels, and the manifest that seals it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from components.shared.files import digest_of
from components.shared.later import later
from components.shared.lineage import Stage

MANIFEST = "manifest.json"
FORMAT_VERSION: Literal[2] = 2


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TeacherRef(_Record):
    """One teacher and its share in the labels."""

    digest: str
    weight: float


class Crop(_Record):
    """Images: a part of each that is enlarged to the image's size."""

    least: float
    """Smallest share of the image's area, above 0."""
    most: float
    """Largest share, up to 1."""
    interpolation: Literal["bilinear", "nearest"]


class Views(_Record):
    """The ways in which each row was shown to the teacher; view 0 is the plain row.

    :mod:`components.shared.training.augmentation` makes them again.
    """

    seeds: list[int] = []
    """One for each augmented view."""
    shift: int = 0
    """Images: shifts by up to so many pixels in both directions."""
    noise: list[float] = []
    """Tables: standard deviation of the noise of each column, in the column's own unit."""
    flip: bool = later(False)
    """Images: half of them are mirrored, left to right."""
    crop: Crop | None = later(None)
    token_dropout: float = later(0.0)
    """Texts: probability that a token is dropped."""
    mixup: float = later(0.0)
    """Tables and images: alpha of the Beta distribution of a row's share in its mixture with
    another row; 0 for none."""
    cutmix: float = later(0.0)
    """Images: alpha of the Beta distribution of what is left of an image after a box of another
    image was put into it; 0 for none."""
    categories: list[int] = later([])
    """Tables that are mixed up: the columns that hold codes of categories."""

    @property
    def mix(self) -> bool:
        """Whether a view has something of another row."""
        return bool(self.mixup or self.cutmix)

    @property
    def count(self) -> int:
        """Views of a row, the plain one included."""
        return 1 + len(self.seeds)


class Combination(_Record):
    """How several teachers came to labels, where that is not the mean with fixed weights."""

    weighting: Literal["fixed", "quality", "confidence"]
    weights: list[float]
    """Of the recipe, of 1 together."""
    judged: float
    """Share of the labelled rows that the teachers were judged by."""
    known: list[list[str]]
    """The classes that each teacher knows, in the order of its logits."""


class StoreIdentity(_Record):
    """What the labels depend on. Two stores with the same identity hold the same labels."""

    format_version: Literal[2] = FORMAT_VERSION
    dataset_digest: str
    teachers: list[TeacherRef]
    """Weights sum to 1; where they differ from row to row, these are their means."""
    classes: list[str]
    """Class names in the order of the logits."""
    preprocessing_digest: str
    """Hash of the teachers' input descriptions and preprocessing."""
    representation: Literal["dense", "topk"] = "dense"
    k: int | None = None
    """Classes that are kept of each row where the representation is ``topk``."""
    dtype: Literal["float16"] = "float16"
    views: Views = Views()
    piece_rows: int
    """Shard i holds the rows of piece i of ``pieces_of(dataset, piece_rows)``."""
    combination: Combination | None = later(None)
    """Null: one teacher, or the weighted mean of the probabilities of several."""

    @property
    def digest(self) -> str:
        """Hash of all fields."""
        return digest_of(self.model_dump(mode="json"))


class StoreShard(_Record):
    """One file of labels."""

    file: str
    rows: int
    bytes: int
    sha256: str
    ids_sha256: str
    labelled: int
    """Rows whose class is known."""
    right: int
    """Those of them whose class is the teacher's first choice."""


class StoreManifest(_Record):
    """The seal of a complete store."""

    identity: StoreIdentity
    rows: int
    shards: list[StoreShard]
    location: str | None = None
    """URI of the shards where they do not lie beside the manifest."""
    assistants: list[Stage] = later([])
    """The stages from the teacher's pupil to the assistant whose labels these are, first to last;
    empty where they are the teacher's own."""

    @property
    def labelled(self) -> int:
        """Rows whose class is known."""
        return sum(shard.labelled for shard in self.shards)

    @property
    def accuracy(self) -> float | None:
        """The teacher's accuracy on the labelled rows; ``None`` where there are none."""
        right = sum(shard.right for shard in self.shards)
        return right / self.labelled if self.labelled else None
