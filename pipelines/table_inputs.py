"""What the features of a table seem to be: images, a text, or columns of numbers and categories."""

import io
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data_validation.columns import ALLOWED, TEXT, WHOLE
from components.shared.errors import UserError
from components.shared.recipe import ImageInput, TabularInput
from components.shared.recipe.columns import CategoricalColumn, ColumnSpec
from components.shared.recipe.inputs import TextInput
from components.shared.recipe.tokenizers import HashTokenizer

ID_NAMES = ("id", "row_id", "uid", "uuid", "key", "index", "__index_level_0__")
"""What columns of ids are called; the last one is pandas' index."""
LABEL_NAMES = ("label", "target", "class", "y", "category", "species", "diagnosis", "outcome")
"""What columns of classes are called."""
_MOST_CATEGORIES = 50
_WORDS_OF_A_TEXT = 4
_LOOKED_AT = 2000
"""Texts that are counted for their words."""
_TOKENIZER = HashTokenizer()
_LENGTHS = (32, 512)


def guess_input(
    table: pa.Table, kinds: dict[str, str]
) -> tuple[TabularInput | ImageInput | TextInput, list[str]]:
    """The input, and notes about what a person should know of it.

    Args:
        table: the columns that may be features, without dictionaries.
        kinds: what each holds.

    Raises:
        UserError: there is nothing to learn from, or images that cannot be used.
    """
    images = [name for name, kind in kinds.items() if kind in ALLOWED["image"]]
    if images:
        return _image(table, images[0]), []
    why = {name: _reason_to_leave_out(name, kinds[name], table.column(name)) for name in kinds}
    used = [name for name in kinds if not why[name]]
    if not used:
        texts = [name for name in kinds if kinds[name] == TEXT and is_prose(table.column(name))]
        if not texts:
            raise UserError(
                "no column holds numbers, categories, texts or images; there is nothing to learn "
                "from"
            )
        text = texts[0]
        return _text(table, text), _notes({name: why[name] for name in kinds if name != text})
    gaps = [name for name in used if kinds[name] != TEXT and _has_gaps(table.column(name))]
    notes = _notes(why)
    if gaps:
        notes.append(
            f"some numbers are missing in {', '.join(gaps)}: the mean stands for them, and a "
            "further input tells; change data.input.missing if you like"
        )
    columns: list[ColumnSpec] = [
        CategoricalColumn(name=name, kind="categorical") if kinds[name] == TEXT else name
        for name in used
    ]
    return TabularInput(columns=columns, missing="indicator" if gaps else "error"), notes


def named_like_id(name: str) -> bool:
    """Whether a column is called what ids are."""
    return name.lower() in ID_NAMES or name.lower().endswith("_id")


def is_prose(column: pa.ChunkedArray) -> bool:
    """Whether texts are sentences, and not names."""
    values = column.drop_null().slice(0, _LOOKED_AT)
    if not len(values):
        return False
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(values)))
    return _distinct(column) > 1 and bool(pc.mean(words).as_py() >= _WORDS_OF_A_TEXT)


def _reason_to_leave_out(name: str, kind: str, column: pa.ChunkedArray) -> str:
    """Why a column is no feature; empty where it may be one."""
    if name == "split":
        return "the name is kept for labelled, unlabelled and test"
    if kind == WHOLE and named_like_id(name):
        return "they seem to be ids"
    if kind in ALLOWED["feature"]:
        return ""
    return _textual_reason(name, column) if kind == TEXT else "they are neither numbers nor text"


def _textual_reason(name: str, column: pa.ChunkedArray) -> str:
    if name.lower() in LABEL_NAMES:
        return "they may tell the class"
    if _is_category(column):
        return ""
    if _distinct(column) < 2:
        return "all rows have the same value"
    if is_prose(column):
        return "a text is an input of its own, without other columns"
    return f"there are more than {_MOST_CATEGORIES} categories, or few rows of each"


def _notes(reasons: dict[str, str]) -> list[str]:
    """One note for each reason, with the columns that it holds for."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if reason:
            names.setdefault(reason, []).append(name)
    return [f"left out, since {reason}: {', '.join(found)}" for reason, found in names.items()]


def _is_category(column: pa.ChunkedArray) -> bool:
    most = min(_MOST_CATEGORIES, len(column) // 5)
    return 2 <= _distinct(column) <= most and not is_prose(column)


def _distinct(column: pa.ChunkedArray) -> int:
    return len(pc.unique(column.drop_null()))


def _has_gaps(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.is_null(column, nan_is_null=True)).as_py())


def _text(table: pa.Table, name: str) -> TextInput:
    """With a length that nine of ten texts stay below, a power of two."""
    values = table.column(name).drop_null().slice(0, _LOOKED_AT)
    words = pc.list_value_length(pc.utf8_split_whitespace(values)).to_numpy()
    tokens = float(np.quantile(words, 0.9)) * _TOKENIZER.ngrams
    length = 2 ** math.ceil(math.log2(max(tokens, 1)))
    return TextInput(
        kind="text",
        column=name,
        tokenizer=_TOKENIZER,
        length=int(np.clip(length, *_LENGTHS)),
    )


def _image(table: pa.Table, name: str) -> ImageInput:
    values = table.column(name).drop_null()
    if len(values) == 0:
        raise UserError(f"column {name!r} has no image in any row")
    first = values[0].as_py()
    if isinstance(first, bytes):
        return ImageInput(kind="image", column=name, size=_encoded_size(first, name))
    for channels in (1, 3):
        side = round((len(first) / channels) ** 0.5)
        if side and side * side * channels == len(first):
            return ImageInput(kind="image", column=name, size=[channels, side, side])
    raise UserError(
        f"column {name!r} has {len(first)} numbers a row, which is not a square image; write "
        "the recipe by hand, with data.input.size"
    )


def _encoded_size(data: bytes, column: str) -> list[int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return [1 if image.mode in {"1", "L"} else 3, image.height, image.width]
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"column {column!r} holds bytes that are not an image") from error
