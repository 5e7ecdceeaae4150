"""Texts to token ids, shard by shard."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.text.hashing import HashedWords
from components.data_validation.text.token_files import open_token_file
from components.shared.errors import UserError
from components.shared.recipe.inputs import TextInput
from components.shared.recipe.tokenizers import HashTokenizer
from components.shared.storage.local import reported

_ROWS = 8192
"""Rows that are tokenised at once."""
_IDS = pa.list_(pa.int32())
"""All are of one length, but Arrow reads no Parquet with nulls in a list of fixed size."""


class Tokenizer(Protocol):
    """What cuts texts into tokens."""

    def ids(self, texts: list[str], length: int) -> list[list[int]]:
        """The first ids of each text, at most ``length``, none of them 0."""


def tokenise(
    files: Iterable[Path], columns: list[str], spec: TextInput, folder: Path
) -> tuple[list[Path], TextInput]:
    """Write Parquet files in which a list of token ids stands in place of each text.

    They have the rows of ``files`` in their order, one file for one. A missing text stays missing;
    one without any token is all padding.

    Args:
        files: Parquet files; each is read before the next is asked for.
        columns: the columns to take over, that of the text among them.
        spec: which column that is, and what cuts it.
        folder: the dataset artifact: gets the files, and a copy of the tokenizer if that is one.

    Returns:
        The files, and the input as the manifest has it, with the tokenizer pinned down.

    Raises:
        UserError: the tokenizer cannot be had, a file is damaged, or the disk is full.
        StorageFailed: the disk is broken.
    """
    tokenizer, settled = _open(spec, folder)
    written = []
    for number, file in enumerate(files):
        path = folder / f"tokens-{number:05d}.parquet"
        _rewrite(file, path, columns, tokenizer, settled)
        written.append(path)
    return written, settled


def _open(spec: TextInput, folder: Path) -> tuple[Tokenizer, TextInput]:
    if isinstance(spec.tokenizer, HashTokenizer):
        return HashedWords(spec.tokenizer), spec
    tokenizer, settled = open_token_file(spec.tokenizer, folder)
    return tokenizer, spec.model_copy(update={"tokenizer": settled})


def _rewrite(
    file: Path, path: Path, columns: list[str], tokenizer: Tokenizer, spec: TextInput
) -> None:
    with reported(path, "writing"), ExitStack() as stack:
        with _reading(file):
            parquet = stack.enter_context(pq.ParquetFile(file))
            fields = [parquet.schema_arrow.field(name).remove_metadata() for name in columns]
        schema = pa.schema(
            [field.with_type(_IDS) if field.name == spec.column else field for field in fields]
        )
        writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
        batches = parquet.iter_batches(_ROWS, columns=columns)
        while True:
            with _reading(file):
                batch = next(batches, None)
            if batch is None:
                break
            arrays = {name: batch.column(name) for name in columns}
            arrays[spec.column] = token_ids(arrays[spec.column], tokenizer, spec.length)
            writer.write_batch(pa.record_batch(list(arrays.values()), schema))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file}: this Parquet file is damaged ({reason})") from error


def token_ids(texts: pa.Array, tokenizer: Tokenizer, length: int) -> pa.ListArray:
    """The ids of each text, padded with 0; null for a null.

    Args:
        texts: of type string, or a dictionary of strings.
        tokenizer: what cuts them.
        length: ids of each row.
    """
    present = texts.drop_null().to_pylist()
    ids = np.zeros((len(present), length), dtype=np.int32)
    for row, found in enumerate(tokenizer.ids(present, length)):
        ids[row, : len(found)] = found
    there = texts.is_valid().to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(there * length)])
    offsets = pa.array(ends, pa.int32(), mask=np.append(~there, False))
    return pa.ListArray.from_arrays(offsets, pa.array(ids.ravel()))
