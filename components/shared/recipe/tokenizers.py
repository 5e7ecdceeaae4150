"""How text becomes token ids; the id 0 is padding."""

from typing import Annotated, Final, Literal

from pydantic import Field

from components.shared.recipe.base import PositiveInt, Spec

TOKENIZER: Final = "tokenizer.json"
"""Name of the copy of a tokenizer's file, beside a manifest and in a registered version."""
_MOST_IDS = 2**24
"""Whole numbers up to here are exact in float32, in which models take their inputs."""


class HashTokenizer(Spec):
    """Built in: lower-cased words, and runs of them, hashed into a fixed number of buckets.

    It needs no vocabulary and gives the same ids on every machine (Weinberger et al., arXiv
    0902.2206).
    """

    kind: Literal["hash"] = "hash"
    ngrams: Annotated[int, Field(ge=1, le=5)] = 2
    """Longest run of words that is a token: 1 for words only, 2 for pairs too."""
    buckets: Annotated[int, Field(gt=1, lt=_MOST_IDS)] = 2**15
    """Number of ids; tokens of the same bucket are one to the model."""

    @property
    def vocabulary(self) -> int:
        """Number of ids, padding included."""
        return self.buckets + 1


class FileTokenizer(Spec):
    """A ``tokenizer.json`` of the Hugging Face library *tokenizers*; nothing is downloaded."""

    kind: Literal["file"]
    uri: str
    """The file: a path or an ``s3://`` URI. In a resolved data set: its name beside the manifest,
    where a copy is kept."""
    sha256: str | None = None
    """Hash of the file's bytes; by default that of the file when the data set is resolved."""
    size: PositiveInt | None = None
    """Number of ids, padding included; found in the file when the data set is resolved."""

    @property
    def vocabulary(self) -> int:
        """Number of ids, padding included.

        Raises:
            ValueError: it is not known, since the data set was not resolved yet.
        """
        if self.size is None:
            raise ValueError("the tokenizer's size is found when data are resolved")
        return self.size


TokenizerSpec = Annotated[HashTokenizer | FileTokenizer, Field(discriminator="kind")]
