"""A manifest's input once the data are known: categories, and token ids in place of texts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from components.data_validation.resolve import resolve
from components.data_validation.text.hashing import HashedWords
from components.data_validation.validate import validate
from components.shared.dataset import Dataset, DatasetManifest
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.recipe import DataSpec, ValidationSpec, parse_section
from components.shared.recipe.inputs import TextInput
from components.shared.recipe.tokenizers import FileTokenizer, HashTokenizer
from components.shared.recipe.validation import Policies

ROWS = 60
WORDS = ["[UNK]", "the", "cat", "sat", "on", "a", "mat", "[CLS]"]
Resolve = Callable[..., DatasetManifest]


def section(path: Path, **given: Any) -> DataSpec:
    fields = {"uri": str(path), "split": {"by": "column"}, **given}
    return parse_section(DataSpec, fields, "data")


def rows(**columns: Any) -> pa.Table:
    """60 rows with ids, labels x and y, and the splits labelled, unlabelled and test in turn."""
    splits = ["labelled", "unlabelled", "test"] * (ROWS // 3)
    ids = [f"r{row}" for row in range(ROWS)]
    return pa.table(
        {"id": ids, "label": ["x", "x", "x", "y", "y", "y"] * 10, **columns}
    ).add_column(2, "split", [splits])


@pytest.fixture
def resolved(tmp_path: Path) -> Resolve:
    """Writes rows, in files of 25, and resolves them into ``dataset``."""

    def run(table: pa.Table, name: str = "dataset", **given: Any) -> DatasetManifest:
        data = tmp_path / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        for start in range(0, table.num_rows, 25):
            pq.write_table(table.slice(start, 25), data / f"{start:02d}.parquet")
        return resolve(section(data, **given), tmp_path / name)

    return run


# Categories


def category_of(manifest: DatasetManifest, name: str) -> list[str]:
    part = next(part for part in manifest.input.parts if part.name == name)  # type: ignore[union-attr]
    return part.settled  # type: ignore[union-attr]


def test_categories_are_those_of_training_rows_in_order(resolved: Resolve, tmp_path: Path) -> None:
    """Test rows name no category: a model is not to know what only they have."""
    towns = ["Ulm", "Bonn", "Aue", "Köln", None, "Bonn"] * 10
    sizes = [9, 10, 2, 10, 9, 2] * 10
    manifest = resolved(
        rows(town=towns, size=sizes, a=np.arange(60.0)),
        input={
            "kind": "tabular",
            "columns": [
                "a",
                {"name": "town", "kind": "categorical"},
                {"name": "size", "kind": "categorical"},
            ],
        },
    )
    assert category_of(manifest, "town") == ["Bonn", "Köln", "Ulm"]
    assert category_of(manifest, "size") == ["9", "10"]
    test = Dataset.open(tmp_path / "dataset").load("test").inputs
    np.testing.assert_array_equal(test[:2], np.float32([[2, 3, 2], [5, 0, 2]]))


def test_categories_that_the_recipe_names_are_kept(resolved: Resolve) -> None:
    column = {"name": "town", "kind": "categorical", "categories": ["Ulm", "Bern"]}
    manifest = resolved(
        rows(town=["Ulm", "Bonn", "Aue"] * 20), input={"kind": "tabular", "columns": [column]}
    )
    assert category_of(manifest, "town") == ["Ulm", "Bern"]


def test_digest_depends_on_the_categories(resolved: Resolve) -> None:
    def digest(**column: Any) -> str:
        spec = {"name": "town", "kind": "categorical", **column}
        return resolved(
            rows(town=["Ulm", "Bonn", "Aue"] * 20), input={"kind": "tabular", "columns": [spec]}
        ).digest

    found = digest()
    assert digest(categories=["Bonn", "Ulm"]) == found
    assert digest(categories=["Ulm", "Bonn"]) != found
    assert digest(unknown="error") != found


def test_unknown_category_is_named_by_file_row_and_id_where_it_is_an_error(
    resolved: Resolve, tmp_path: Path
) -> None:
    column = {"name": "town", "kind": "categorical", "unknown": "error"}
    towns = ["Ulm", "Bonn", "Ulm"] * 20
    towns[29] = "Rom"
    resolved(rows(town=towns), input={"kind": "tabular", "columns": [column]})
    with pytest.raises(UserError, match=r"25\.parquet: row 4 \(id 'r29'\): town is 'Rom', which"):
        Dataset.open(tmp_path / "dataset").load("test")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None] * ROWS, "'town' has no value in any training row"),
        ([b"x"] * ROWS, "should hold text, whole numbers or true/false"),
    ],
)
def test_column_without_usable_categories_is_refused(
    resolved: Resolve, values: list[Any], message: str
) -> None:
    column = {"name": "town", "kind": "categorical"}
    with pytest.raises(UserError, match=message):
        resolved(rows(town=values), input={"kind": "tabular", "columns": [column]})


def test_more_categories_than_a_model_should_have_are_refused(tmp_path: Path) -> None:
    table = pa.table(
        {"id": range(3000), "label": ["x", "y"] * 1500, "town": [f"t{row}" for row in range(3000)]}
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    column = {"name": "town", "kind": "categorical"}
    data = section(
        tmp_path / "rows.parquet",
        split={"by": "random"},
        input={"kind": "tabular", "columns": [column]},
    )
    with pytest.raises(UserError, match=r"'town' has more than 1,000 categories; list those that"):
        resolve(data, tmp_path / "dataset")


# Texts


def text_input(**fields: Any) -> dict[str, Any]:
    return {"kind": "text", "tokenizer": {"kind": "hash", "buckets": 1000}, "length": 4, **fields}


def write_tokenizer(path: Path, words: list[str] = WORDS) -> Path:
    """Lower-cased words, [CLS] before each text; id 0 is that of unknown words."""
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=words[0]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", vocabulary["[CLS]"])]
    )
    path.parent.mkdir(exist_ok=True)
    tokenizer.save(str(path))
    return path


def ids_of(folder: Path) -> list[list[int]]:
    loaded = Dataset.open(folder).load("labelled", "unlabelled", "test").inputs
    found: list[list[int]] = loaded.astype(int).tolist()
    return found


def test_hashed_ids_are_the_same_on_every_machine() -> None:
    """Whatever changes these numbers makes earlier models useless."""
    tokenizer = HashedWords(HashTokenizer(ngrams=2, buckets=100_000))
    the, cat, the_cat, cat_the = 83079, 77833, 81833, 81277
    assert tokenizer.ids(["The cat, the CAT!", "", "Straße ﬁn"], 10) == [
        [the, cat, the_cat, the, cat_the, cat, the_cat],
        [],
        [51342, 35026, 17163],
    ]


def test_ids_are_cut_off_at_the_length_and_never_padding() -> None:
    long = " ".join(f"word{number}" for number in range(5000))
    (found,) = HashedWords(HashTokenizer(ngrams=3, buckets=7)).ids([long], 100)
    assert len(found) == 100
    assert set(found) == set(range(1, 8))
    assert found == HashedWords(HashTokenizer(ngrams=3, buckets=7)).ids([long], 101)[0][:100]


def test_texts_are_read_as_ids_and_other_columns_are_kept(
    resolved: Resolve, tmp_path: Path
) -> None:
    texts = ["the cat sat on a mat", "", "cat"] * 20
    sizes = np.arange(ROWS)
    manifest = resolved(rows(text=texts, size=sizes), input=text_input(), slices=["size"])
    tokenizer = HashedWords(HashTokenizer(buckets=1000))
    expected = [[*found, 0, 0, 0, 0][:4] for found in tokenizer.ids(texts, 4)]
    dataset = Dataset.open(tmp_path / "dataset")
    assert ids_of(tmp_path / "dataset") == expected
    assert [shard.path for shard in manifest.shards] == [
        f"tokens-{n:05d}.parquet" for n in range(3)
    ]
    assert manifest.input == TextInput(kind="text", tokenizer=HashTokenizer(buckets=1000), length=4)
    loaded = next(dataset.batches("test", columns=["size"]))
    assert loaded.columns["size"].to_pylist() == list(range(2, ROWS, 3))
    pieces = [pq.read_table(tmp_path / "dataset" / shard.path) for shard in manifest.shards]
    assert b"cat" not in b"".join(
        (tmp_path / "dataset" / shard.path).read_bytes() for shard in manifest.shards
    ), "the texts themselves stay where they are"
    assert sum(piece.num_rows for piece in pieces) == ROWS


def test_missing_text_stays_missing(resolved: Resolve, tmp_path: Path) -> None:
    texts = ["the cat", None, "a mat"] * 20
    resolved(rows(text=pa.array(texts).dictionary_encode()), input=text_input())
    with pytest.raises(UserError, match=r"row 1 \(id 'r1'\): text has 0 values, but tokens needs"):
        ids_of(tmp_path / "dataset")


def test_tokenizer_file_is_kept_and_its_ids_are_counted_from_one(
    resolved: Resolve, tmp_path: Path
) -> None:
    path = write_tokenizer(tmp_path / "vocabulary" / "words.json")
    tokenizer = {"kind": "file", "uri": str(path)}
    manifest = resolved(
        rows(text=["The dog sat", "mat on a cat", ""] * 20), input=text_input(tokenizer=tokenizer)
    )
    assert ids_of(tmp_path / "dataset")[:3] == [[8, 2, 1, 4], [8, 7, 5, 6], [8, 0, 0, 0]]
    assert isinstance(manifest.input, TextInput)
    assert manifest.input.tokenizer == FileTokenizer(
        kind="file", uri="tokenizer.json", sha256=sha256_file(path), size=len(WORDS) + 1
    )
    kept = tmp_path / "dataset" / "tokenizer.json"
    assert kept.read_bytes() == path.read_bytes()


def test_digest_depends_on_the_tokenizers_bytes_and_not_on_its_place(
    resolved: Resolve, tmp_path: Path
) -> None:
    def digest(name: str, words: list[str] = WORDS, **more: Any) -> str:
        path = write_tokenizer(tmp_path / name / "t.json", words)
        tokenizer = {"kind": "file", "uri": str(path), **more}
        return resolved(
            rows(text=["the cat", "a", "mat"] * 20), input=text_input(tokenizer=tokenizer)
        ).digest

    found = digest("here")
    assert digest("there") == found
    assert digest("here", [*WORDS, "dog"]) != found, "one word more, the same ids"
    with pytest.raises(UserError, match=r"t\.json has the SHA-256 .*, but 0{64} was asked for"):
        digest("here", sha256="0" * 64)


@pytest.mark.parametrize("content", [None, b"{}", b"\xff\xfe", json.dumps({"model": 1}).encode()])
def test_file_that_is_no_tokenizer_is_refused(
    resolved: Resolve, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "t.json"
    if content is not None:
        path.write_bytes(content)
    expected = "there is no file" if content is None else "is not a tokenizer.json of the library"
    with pytest.raises(UserError, match=f"data.input.tokenizer: .*{expected}"):
        resolved(
            rows(text=["a", "b", "c"] * 20),
            input=text_input(tokenizer={"kind": "file", "uri": str(path)}),
        )


def test_data_set_without_its_missing_texts_keeps_the_tokenizer(
    resolved: Resolve, tmp_path: Path
) -> None:
    path = write_tokenizer(tmp_path / "words.json")
    texts = [None if row % 20 == 7 else WORDS[1 + row % 6] for row in range(ROWS)]
    given = text_input(tokenizer={"kind": "file", "uri": str(path)})
    manifest = resolved(rows(text=texts), input=given)
    limits = ValidationSpec(
        min_rows=10, max_test_overlap=1, policies=Policies(missing="quarantine")
    )
    places = [tmp_path / name for name in ("dataset", "result", "docs")]
    validate(places[0], limits, places[1], places[2], checked=tmp_path / "checked")
    checked = Dataset.open(tmp_path / "checked")
    assert len(ids_of(tmp_path / "checked")) == ROWS - 3
    assert checked.manifest.input == manifest.input
    assert (tmp_path / "checked" / "tokenizer.json").read_bytes() == path.read_bytes()


def test_only_gaps_without_a_policy_fail_validation(resolved: Resolve, tmp_path: Path) -> None:
    gaps = [None if row % 7 == 3 else float(row) for row in range(ROWS)]
    towns = [None if row % 9 == 4 else "Ulm" for row in range(ROWS)]
    town = {"name": "town", "kind": "categorical"}

    def found(missing: str) -> object:
        columns = ["a", {"name": "b", "missing": missing}, town]
        given = {"kind": "tabular", "columns": columns}
        resolved(rows(a=np.arange(60.0), b=gaps, town=towns), input=given)
        places = [tmp_path / name for name in ("dataset", "result", "docs")]
        return validate(places[0], ValidationSpec(min_rows=10), places[1], places[2])

    assert found("zero")
    with pytest.raises(UserError, match="9 rows without a value in 'b'"):
        found("error")


def test_texts_cannot_be_sliced_by_and_have_to_be_text(resolved: Resolve) -> None:
    with pytest.raises(UserError, match="'text' is the column of texts, which cannot be sliced"):
        resolved(rows(text=["a"] * ROWS), input=text_input(), slices=["text"])
    with pytest.raises(UserError, match="column 'text' is of type int64, but should hold text"):
        resolved(rows(text=list(range(ROWS))), input=text_input())
