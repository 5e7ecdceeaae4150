"""Where a store of labels is kept: with the run, or below the recipe's ``storage``."""

from collections.abc import Sequence
from pathlib import Path

from components.shared.lineage import Stage
from components.shared.soft_labels import (
    SoftLabelWriter,
    StoreIdentity,
    StoreManifest,
    write_manifest,
)
from components.shared.storage import LocalStorage, open_storage
from components.shared.storage.uris import join

FOLDER = "soft-labels"
"""Of all stores, below ``storage``."""


def location_of(storage: str, identity: StoreIdentity) -> str:
    """The store's own folder below ``storage``.

    It is named by the identity, so that whoever needs the same labels, in whatever run, finds them.
    """
    return join(storage, FOLDER, identity.digest)


class Place:
    """Where a run's labels are written, and the artifact that leads there."""

    def __init__(self, storage: str, artifact: Path, identity: StoreIdentity) -> None:
        self._location = location_of(storage, identity) if storage else None
        self._artifact = LocalStorage(artifact)
        kept = open_storage(self._location) if self._location else self._artifact
        self.writer = SoftLabelWriter(kept, identity)

    def seal(self, assistants: Sequence[Stage] = ()) -> StoreManifest:
        """Seal the store, and the artifact; return the artifact's manifest.

        Args:
            assistants: the stages up to the assistant whose labels these are.
        """
        manifest = self.writer.seal(assistants)
        if self._location is not None:
            manifest = manifest.model_copy(update={"location": self._location})
            write_manifest(self._artifact, manifest)
        return manifest
