"""Tokenizers that come as a file, ``tokenizer.json`` of the library *tokenizers*."""

from pathlib import Path
from typing import TYPE_CHECKING

from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.recipe.tokenizers import TOKENIZER, FileTokenizer
from components.shared.storage import open_storage
from components.shared.storage.local import reported
from components.shared.storage.uris import split

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TokenFile:
    """A tokenizer of that library; its ids are counted from 1, since 0 is padding."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        tokenizer.no_padding()
        self._tokenizer = tokenizer

    @property
    def size(self) -> int:
        """Number of ids, padding included."""
        return 2 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def ids(self, texts: list[str], length: int) -> list[list[int]]:
        """The first ids of each text, at most ``length``, special tokens included."""
        self._tokenizer.enable_truncation(length)
        return [[1 + id for id in found.ids] for found in self._tokenizer.encode_batch(texts)]


def open_token_file(spec: FileTokenizer, folder: Path) -> tuple[TokenFile, FileTokenizer]:
    """Read a tokenizer and keep a copy beside the manifest.

    Args:
        spec: where it is.
        folder: the dataset artifact, which gets the copy.

    Returns:
        The tokenizer, and its description as a manifest has it: it names the copy, so that a digest
        over it does not depend on where the file came from.

    Raises:
        UserError: there is no such file, it is not a tokenizer, or not the one of ``spec.sha256``;
            the disk is full.
    """
    content = _read(spec.uri)
    digest = sha256_bytes(content)
    if spec.sha256 not in (None, digest):
        raise UserError(
            f"data.input.tokenizer: {spec.uri} has the SHA-256 {digest}, but {spec.sha256} was "
            "asked for"
        )
    tokenizer = TokenFile(_parse(content, spec.uri))
    with reported(folder / TOKENIZER, "writing"):
        (folder / TOKENIZER).write_bytes(content)
    settled = FileTokenizer(kind="file", uri=TOKENIZER, sha256=digest, size=tokenizer.size)
    return tokenizer, settled


def _read(uri: str) -> bytes:
    root, name = split(uri)
    try:
        return open_storage(root).read(name)
    except FileNotFoundError as error:
        raise UserError(f"data.input.tokenizer: there is no file {uri}") from error


def _parse(content: bytes, uri: str) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UserError(
            "data.input.tokenizer: a tokenizer.json needs the package tokenizers; install "
            "kubedistill[text], or use {kind: hash}"
        ) from error
    try:
        return Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises nothing more special
        raise UserError(
            f"data.input.tokenizer: {uri} is not a tokenizer.json of the library tokenizers "
            f"({' '.join(str(error).split())})"
        ) from error
