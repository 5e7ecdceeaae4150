"""The soft-label store: what a teacher said about each row, kept by row id.

One folder or S3 prefix holds ``manifest.json`` and safetensors shards with raw logits (temperature
1, so that the temperature stays a choice of training). Shards appear whole; the manifest is written
last and seals the store. A reader checks everything that the manifest says.
"""

from components.shared.soft_labels.identity import (
    MANIFEST,
    Combination,
    Crop,
    StoreIdentity,
    StoreManifest,
    StoreShard,
    TeacherRef,
    Views,
)
from components.shared.soft_labels.reading import ShardLabels, SoftLabels, read_manifest
from components.shared.soft_labels.writing import SoftLabelWriter, write_manifest

__all__ = [
    "MANIFEST",
    "Combination",
    "Crop",
    "ShardLabels",
    "SoftLabelWriter",
    "SoftLabels",
    "StoreIdentity",
    "StoreManifest",
    "StoreShard",
    "TeacherRef",
    "Views",
    "read_manifest",
    "write_manifest",
]
