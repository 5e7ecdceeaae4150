"""Fresh rows of models that take categories, gaps or texts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data_validation.fresh.collect import fresh_rows
from components.data_validation.fresh.spec import FreshRowsSpec
from components.shared.dataset import Dataset
from components.shared.deployable import DEPLOYABLE, read_deployable
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe.inputs import InputSpec, TabularInput, TextInput
from components.shared.recipe.tokenizers import FileTokenizer
from components.shared.registered import RegisteredModel
from tests.data_validation.test_fresh_rows import write_model
from tests.data_validation.test_settling import write_tokenizer

TABLE = TabularInput.model_validate(
    {
        "columns": ["a", {"name": "c", "kind": "categorical", "categories": ["red", "green"]}],
        "missing": "mean",
    }
)
Collect = Callable[..., Dataset]


@pytest.fixture
def collect(tmp_path: Path) -> Collect:
    """Rows, as models that take them get them."""

    def run(taken: InputSpec, **columns: Any) -> Dataset:
        models = []
        for role, version in (("champion", "2"), ("challenger", "3")):
            folder = tmp_path / "models" / version
            if not folder.exists():
                write_model(folder, version, "d" * 64, None)
            described = read_deployable(folder).model_copy(update={"input": taken})
            write_atomically(folder / DEPLOYABLE, described.model_dump_json())
            models.append(RegisteredModel.read(role, folder))  # type: ignore[arg-type]
        count = len(next(iter(columns.values())))
        table = pa.table(
            {"id": [f"n{row}" for row in range(count)], "label": ["x"] * count, **columns}
        )
        pq.write_table(table, tmp_path / "fresh.parquet")
        spec = FreshRowsSpec(
            uri=str(tmp_path / "fresh.parquet"), leave_out_known=False, id="id", label="label"
        )
        fresh_rows(spec, *models, tmp_path / "fresh")
        return Dataset.open(tmp_path / "fresh")

    return run


def test_categories_are_the_models_and_gaps_are_no_fault(collect: Collect) -> None:
    found = collect(TABLE, a=[1.0, None, 3.0], c=["green", "blue", None]).load("test")
    np.testing.assert_array_equal(found.inputs, np.float32([[1, 1], [np.nan, 2], [3, np.nan]]))


def test_gap_that_no_model_can_predict_from_is_a_fault(collect: Collect) -> None:
    strict = TABLE.model_copy(update={"missing": "error"})
    with pytest.raises(UserError, match=r"row 1 \(id 'n1'\): a is missing; in all, 1 row has"):
        collect(strict, a=[1.0, None, 3.0], c=["green", "blue", None])


def test_texts_are_cut_by_the_tokenizer_that_is_registered_with_the_model(
    collect: Collect, tmp_path: Path
) -> None:
    kept = write_tokenizer(tmp_path / "tokenizer.json")
    for version in ("2", "3"):
        write_model(tmp_path / "models" / version, version, "d" * 64, None)
        (tmp_path / "models" / version / "tokenizer.json").write_bytes(kept.read_bytes())
    kept.unlink()
    tokenizer = FileTokenizer(kind="file", uri="tokenizer.json", size=9)
    text = TextInput(kind="text", length=4, tokenizer=tokenizer)
    found = collect(text, text=["The cat", "on a mat sat"])
    assert found.load("test").inputs.tolist() == [[8, 2, 3, 0], [8, 5, 6, 7]]
    assert isinstance(found.manifest.input, TextInput)
    assert found.manifest.input.difference(text.model_copy(update={"length": 3})) is not None
