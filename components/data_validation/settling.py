"""The input of a data set once its rows are known: categories found, texts cut into tokens."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.data_validation.columns import TEXT, kind_of, tokenised_roles
from components.data_validation.sources import Source, open_files
from components.data_validation.splitting import LABELLED, UNLABELLED
from components.data_validation.text.tokenising import tokenise
from components.shared.encoding.categories import distinct_categories
from components.shared.errors import UserError
from components.shared.manifest import SplitNumbers
from components.shared.recipe import DataSpec
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import TabularInput, TextInput

_MOST_CATEGORIES = 1000
_TRAINING = (LABELLED, UNLABELLED)


def settle(
    spec: DataSpec, source: Source, split: SplitNumbers, folder: Path
) -> tuple[DataSpec, Source]:
    """Fix what the recipe leaves to the data, so that the manifest's input says all.

    Args:
        spec: what the columns mean.
        source: their files.
        split: number of each row's split; categories are looked for in training rows only.
        folder: the dataset artifact; gets token ids, and the tokenizer's file.

    Returns:
        Both as they were where nothing was left open.

    Raises:
        UserError: a column has no or too many categories, or the tokenizer cannot be had.
    """
    given = spec.input
    if isinstance(given, TextInput):
        files, text = tokenise(source.local_files(), source.schema.names, given, folder)
        settled = spec.model_copy(update={"input": text})
        places = [str(file) for file in files]
        return settled, open_files(places, tokenised_roles(settled), spec.uri, folder)
    if isinstance(given, TabularInput):
        open_columns = [
            part.name
            for part in given.parts
            if isinstance(part, CategoricalColumn) and part.categories is None
        ]
        if open_columns:
            table = given.with_categories(_categories(open_columns, source, split))
            return spec.model_copy(update={"input": table}), source
    return spec, source


def _categories(names: list[str], source: Source, split: SplitNumbers) -> dict[str, list[str]]:
    """The categories of training rows: text in alphabetical order, numbers by size."""
    trained = np.isin(split, _TRAINING)
    seen: dict[str, set[str]] = defaultdict(set)
    row = 0
    for batch in source.batches(names):
        kept = pa.array(trained[row : row + batch.num_rows])
        row += batch.num_rows
        for name in names:
            seen[name] |= distinct_categories(batch.column(name).filter(kept))
            if len(seen[name]) > _MOST_CATEGORIES:
                raise UserError(
                    f"data.input.columns: {name!r} has more than {_MOST_CATEGORIES:,} categories; "
                    "list those that matter as its categories, and the others are one category "
                    "'other'"
                )
    return {name: _ordered(name, seen[name], source) for name in names}


def _ordered(name: str, found: set[str], source: Source) -> list[str]:
    if not found:
        raise UserError(
            f"data.input.columns: {name!r} has no value in any training row; leave it out, or "
            "list its categories"
        )
    textual = kind_of(source.schema.field(name).type) == TEXT
    return sorted(found) if textual else sorted(found, key=float)
