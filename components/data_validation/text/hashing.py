"""The built-in tokenizer: words and runs of words, hashed."""

import re
import unicodedata
from zlib import crc32

from components.shared.recipe.tokenizers import HashTokenizer

_WORD = re.compile(r"\w+")


class HashedWords:
    """Tokens are lower-cased words, each followed by the longer runs of words that end with it, so
    that a text that is cut off keeps the runs of the words that it keeps.

    The id of a token is 1 plus the CRC-32 of its UTF-8 bytes modulo the number of buckets.
    """

    def __init__(self, spec: HashTokenizer) -> None:
        self._ngrams = spec.ngrams
        self._buckets = spec.buckets

    def ids(self, texts: list[str], length: int) -> list[list[int]]:
        """The first ids of each text, at most ``length``."""
        return [self._ids(text, length) for text in texts]

    def _ids(self, text: str, length: int) -> list[int]:
        words = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
        found: list[int] = []
        for last in range(min(len(words), length)):
            for first in range(last, max(last - self._ngrams, -1), -1):
                token = " ".join(words[first : last + 1])
                found.append(1 + crc32(token.encode()) % self._buckets)
        return found[:length]
