"""A data set in pieces: what is labelled, stored and read as a unit, and shared among readers."""

from collections.abc import Sequence
from typing import NamedTuple

from components.shared.manifest import DatasetManifest


class Piece(NamedTuple):
    """Consecutive rows of one data file, of whatever split."""

    shard: int
    """Number of the file in the manifest."""
    start: int
    """Position of the first row in the file."""
    stop: int
    """Position after the last row."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.stop - self.start


def pieces_of(manifest: DatasetManifest, rows: int) -> list[Piece]:
    """The whole data set in pieces of ``rows`` rows, in the order of the data.

    The last piece of a file may have fewer. Nothing but the files' row counts decides, so that
    whoever has the manifest finds the same pieces.
    """
    return [
        Piece(number, start, min(start + rows, shard.rows))
        for number, shard in enumerate(manifest.shards)
        for start in range(0, shard.rows, rows)
    ]


def share_of(pieces: Sequence[Piece], reader: int, readers: int) -> list[Piece]:
    """The pieces that one of several readers takes, counted from 0: successive ones.

    Each piece is somebody's and nobody else's. Shares differ by no more than one piece's rows from
    an equal part.
    """
    total = sum(piece.rows for piece in pieces)
    share, before = [], 0
    for piece in pieces:
        # Whose part of all rows the middle of the piece lies in.
        if (2 * before + piece.rows) * readers // max(2 * total, 1) == reader:
            share.append(piece)
        before += piece.rows
    return share
