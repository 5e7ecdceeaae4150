"""What one pass over a data set found."""

from collections import Counter
from dataclasses import dataclass, field

from components.data_validation.quarantine.taken import Taken
from components.data_validation.scan.sampling import Sample
from components.data_validation.scan.tally import Tally, Witness
from components.shared.dataset import DatasetManifest
from components.shared.recipe.inputs import TabularInput

_SAMPLED_VALUES = 2**19
_SAMPLED_ROWS = 20_000
_LEAST_SAMPLED_ROWS = 500


@dataclass
class Scan:
    """What one pass found; of rows that are taken out only the tallies."""

    manifest: DatasetManifest
    rows: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    """Rows by split and class; null for no label, a hidden one, or one that is no class."""
    tallies: dict[str, Tally] = field(default_factory=dict)
    """By fault, or name of an expectation of the recipe."""
    witnesses: dict[int, Witness] = field(default_factory=dict)
    """By position: the first row of each split and class, the rows with the extremes, and examples
    of each fault."""
    lowest: dict[str, float] = field(default_factory=dict)
    """Smallest finite value of each feature column."""
    highest: dict[str, float] = field(default_factory=dict)
    taken: Taken = field(default_factory=Taken)
    out_before: set[int] = field(default_factory=set)
    """Witnesses that were taken out before ids were looked at for any that occur twice."""
    types: dict[str, str] = field(default_factory=dict)
    """Arrow type of each column that was read."""
    training: Sample = field(init=False)
    """Of labelled and unlabelled rows."""
    test: Sample = field(init=False)

    def __post_init__(self) -> None:
        spec, counts = self.manifest.input, self.manifest.rows
        width = len(spec.names) if isinstance(spec, TabularInput) else 70
        size = min(_SAMPLED_ROWS, max(_SAMPLED_VALUES // width, _LEAST_SAMPLED_ROWS))
        trained = counts["labelled"] + counts["unlabelled"]
        self.training = Sample((0, 1), trained, size)
        self.test = Sample((2,), counts["test"], size)

    def of(self, name: str) -> Tally:
        """The tally of a fault."""
        return self.tallies.setdefault(name, Tally())

    def split_rows(self, split: str) -> int:
        """Rows of a split."""
        return sum(count for (name, _), count in self.rows.items() if name == split)
