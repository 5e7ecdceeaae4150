"""The stores of several teachers, read side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.soft_labels import ShardLabels, SoftLabels, StoreIdentity, read_manifest
from components.shared.soft_labels.encoding import NO_LABEL
from components.shared.storage import LocalStorage
from components.soft_labels.mixing import Positions
from components.soft_labels.teachers.protocol import Array

_CHUNK = 4_096
"""Rows that are dense at a time."""
_SHARED = ("dataset_digest", "views", "piece_rows")
"""Fields of the identity in which stores must be alike."""
_SHARED_WITH_ALL_CLASSES = ("representation", "k", "dtype")

Labels = npt.NDArray[np.int32]


class Part(NamedTuple):
    """The same shard of several stores."""

    labels: list[ShardLabels]
    known: Labels
    """Class of each row of the split ``labelled`` by its position in the data set's, shape (rows,);
    -1 for all others, and where no teacher knows the class."""

    def chunks(self) -> Iterator[tuple[list[Array], Labels]]:
        """Logits of each store and classes, of some rows at a time."""
        ids = self.labels[0].ids
        for start in range(0, max(len(ids), 1), _CHUNK):
            rows = slice(start, start + _CHUNK)
            yield [one.of(ids.slice(start, _CHUNK)) for one in self.labels], self.known[rows]


class Stores:
    """Stores of the same rows, whose classes are some of the data set's."""

    def __init__(self, stores: Sequence[SoftLabels], classes: Sequence[str]) -> None:
        """Check that they fit together.

        Args:
            stores: one of each teacher.
            classes: of the data set.

        Raises:
            UserError: they do not, or none knows one of the classes; the message says which.
        """
        self.stores = list(stores)
        self.classes = list(classes)
        known = [store.identity.classes for store in stores]
        _check_known(known, self.classes)
        self.known: list[Positions] = [
            np.asarray([self.classes.index(name) for name in names], np.int64) for names in known
        ]
        self.complete = all(names == self.classes for names in known)
        _check_alike(
            [store.identity for store in stores],
            _SHARED + (_SHARED_WITH_ALL_CLASSES if self.complete else ()),
        )

    def __iter__(self) -> Iterator[Part]:
        return map(self.part, range(len(self.stores[0].shards)))

    def part(self, index: int) -> Part:
        """One shard of each.

        Raises:
            UserError: a shard is missing, damaged, or has other rows than its counterpart.
        """
        labels = [store.labels(index) for store in self.stores]
        known = np.full(len(labels[0].ids), NO_LABEL, np.int32)
        for number, (one, there) in enumerate(zip(labels, self.known, strict=True)):
            if not one.ids.equals(labels[0].ids):
                raise UserError(
                    f"the teachers' labels cannot be combined: shard {index} has other rows in the "
                    f"store of teacher.members[{number}] than in the first; label again"
                )
            told = one.known != NO_LABEL
            known[told] = there[one.known[told]]
        return Part(labels, known)


def open_store(folder: Path, dataset_digest: str, digest: str) -> SoftLabels:
    """A store of the given data set and identity, whatever its classes.

    Raises:
        UserError: it is not sealed, or another one.
    """
    classes = read_manifest(LocalStorage(folder)).identity.classes
    return SoftLabels.open(folder, dataset_digest=dataset_digest, classes=classes, digest=digest)


def _check_known(known: Sequence[Sequence[str]], classes: Sequence[str]) -> None:
    for number, names in enumerate(known):
        if unknown := sorted(set(names) - set(classes)):
            raise UserError(
                f"teacher.members[{number}] knows {', '.join(unknown)}, which the data set does not"
            )
        if len(names) == 1:
            raise UserError(
                f"teacher.members[{number}] knows one class alone, {names[0]}, and so says nothing "
                "of any row; leave it out"
            )
    missing = [name for name in classes if not any(name in names for names in known)]
    if missing:
        raise UserError(
            f"no teacher knows the classes {', '.join(missing)}: each class of the data set needs "
            "one that does; add a member that knows them, or leave their rows out of the data"
        )


def _check_alike(identities: Sequence[StoreIdentity], fields: Sequence[str]) -> None:
    first = identities[0]
    for number, other in enumerate(identities[1:], 1):
        for field in fields:
            one, another = getattr(first, field), getattr(other, field)
            if one != another:
                raise UserError(
                    f"the teachers' labels cannot be combined: {field} is {_brief(one)} in the "
                    f"store of teacher.members[0], {_brief(another)} in that of "
                    f"teacher.members[{number}]"
                )


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
