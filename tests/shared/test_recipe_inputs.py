"""The input section of a recipe: what may be written, and what it comes to."""

from pathlib import Path
from typing import Any

import pytest

from components.shared.errors import UserError
from components.shared.recipe import DataSpec, load_recipe, parse_section
from components.shared.recipe.inputs import TabularInput, TextInput, files_of
from components.shared.recipe.models import FAMILIES
from components.shared.recipe.tokenizers import FileTokenizer, HashTokenizer

ROOT = Path(__file__).parents[2]


def data(**given: Any) -> DataSpec:
    return parse_section(DataSpec, {"uri": "data.parquet", "input": given}, "data")


def refusal(**given: Any) -> str:
    with pytest.raises(UserError) as caught:
        data(**given)
    return str(caught.value)


def tabular(*columns: Any, **fields: Any) -> TabularInput:
    return TabularInput.model_validate({"columns": list(columns), **fields})


def test_digests_over_plain_tables_stay_what_they_were() -> None:
    """Bundles and manifests of earlier versions are hashed over exactly this."""
    assert TabularInput(columns=["a", "b"]).model_dump() == {
        "kind": "tabular",
        "columns": ["a", "b"],
    }


def test_columns_have_the_policy_of_the_input_unless_they_name_one() -> None:
    found = tabular("a", {"name": "b", "missing": "zero"}, missing="indicator")
    assert [(part.name, part.missing) for part in found.parts] == [
        ("a", "indicator"),
        ("b", "zero"),
    ]
    assert tabular("a", {"name": "b"}).plain
    assert not found.plain


def test_categories_are_text_whatever_yaml_makes_of_them() -> None:
    column = {"name": "c", "kind": "categorical", "categories": [1, 2.0, "x"]}
    assert tabular(column).parts[0].settled == ["1", "2", "x"]


def test_recipe_survives_the_way_through_kfp() -> None:
    section = {
        "columns": ["a", {"name": "c", "kind": "categorical", "categories": ["x", "y"]}],
        "missing": "mean",
    }
    found = data(kind="tabular", **section)
    again = parse_section(DataSpec, found.model_dump(mode="json"), "data")
    assert again == found
    assert found.features == ["a", "c"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([5], "data.input.columns[0]: should be the name of a numeric column, {name: …"),
        ([{"name": "c", "kind": "category"}], "data.input.columns[0]: should be the name"),
        ([{"name": "c", "kind": "categorical", "categorys": ["x"]}], "did you mean categories?"),
        ([{"name": "c", "kind": "categorical", "categories": ["x", "x"]}], "more than once"),
        ([{"name": "c", "missing": "median"}], "data.input.columns[0].missing: input should be"),
        (["a", {"name": "a", "kind": "categorical"}], "column 'a' is listed more than once"),
    ],
)
def test_mistake_in_a_column_is_named(columns: list[Any], message: str) -> None:
    assert message in refusal(kind="tabular", columns=columns)


def test_mistake_in_a_tokenizer_is_named() -> None:
    assert "data.input.tokenizer.kind: should be one of file, hash" in refusal(
        kind="text", tokenizer={"kind": "bpe"}
    )
    assert "data.input.tokenizer.buckets" in refusal(
        kind="text", tokenizer={"kind": "hash", "buckets": 2**24}
    )


def test_difference_of_inputs_is_told_in_words() -> None:
    city = {"name": "c", "kind": "categorical", "categories": ["x", "y"]}
    told = tabular("a", city).difference(tabular("a", {**city, "categories": ["x"]}))
    assert told == (
        "it takes c as one of 2 categories (x, y; unknown: other), not c as one of 1 categories "
        "(x; unknown: other)"
    )
    assert tabular("a").difference(tabular("b")) == (
        "it takes the columns a, in this order, not the columns b"
    )
    assert tabular("a", city).difference(tabular("a", city)) is None


def test_tokenizers_differ_by_their_bytes_not_by_their_place() -> None:
    def text(uri: str, sha256: str) -> TextInput:
        tokenizer = FileTokenizer(kind="file", uri=uri, sha256=sha256, size=10)
        return TextInput(kind="text", tokenizer=tokenizer)

    assert text("a.json", "1" * 64).difference(text("b.json", "1" * 64)) is None
    assert "SHA-256 111111111111" in str(text("a", "1" * 64).difference(text("a", "2" * 64)))
    assert files_of(text("tokenizer.json", "1" * 64)) == ["tokenizer.json"]
    assert files_of(TextInput(kind="text", tokenizer=HashTokenizer())) == []


@pytest.mark.parametrize("name", ["titanic", "docstrings"])
def test_example_recipe_is_valid(name: str) -> None:
    recipe = load_recipe(ROOT / "pipelines" / "recipes" / f"{name}.yaml")
    assert recipe.name == name
    assert recipe.student.model.family in FAMILIES[recipe.data.input.kind]
