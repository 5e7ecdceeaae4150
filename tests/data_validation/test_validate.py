"""What validation refuses, and in which words."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.data_validation.resolve import resolve
from components.data_validation.validate import validate
from components.shared.errors import UserError
from components.shared.recipe import ValidationSpec
from components.shared.results.validation import ValidationResult


def put(values, changes):
    """A copy of a list with some of its elements replaced."""
    return [changes.get(row, value) for row, value in enumerate(values)]


def refusal(check, columns, limits=None, **fields):
    with pytest.raises(UserError) as error:
        check(columns, limits, **fields)
    return str(error.value)


def test_good_data_pass_and_the_result_says_what_was_checked(tmp_path, check, columns):
    result = check(columns, {"min_value": -10, "max_value": 10})

    written = ValidationResult.model_validate_json(
        (tmp_path / "result" / "validation.json").read_bytes()
    )
    assert written == result
    assert result.success
    manifest = json.loads((tmp_path / "dataset" / "manifest.json").read_text())
    assert result.dataset_digest == manifest["digest"]
    kinds = {check.expectation for check in result.checks}
    assert {
        "expect_column_values_to_be_unique",
        "expect_column_values_to_be_between",
        "expect_column_min_to_be_between",
        "expect_column_distinct_values_to_contain_set",
    } <= kinds


def test_data_docs_are_great_expectations_pages(tmp_path, check, columns):
    check(columns)
    assert "Data Docs" in (tmp_path / "docs" / "index.html").read_text()
    pages = list((tmp_path / "docs" / "validations").rglob("*.html"))
    assert sorted(page.relative_to(tmp_path / "docs").parts[1] for page in pages) == [
        "rows",
        "schema",
        "splits",
    ]


def test_relative_paths_are_taken(tmp_path, check, columns, monkeypatch):
    check(columns)
    monkeypatch.chdir(tmp_path)
    validate(Path("dataset"), ValidationSpec(min_rows=10), Path("r.json"), Path("relative"))
    assert (tmp_path / "relative" / "index.html").is_file()


def test_suite_hash_changes_with_the_limits_only(check, columns):
    first = check(columns)
    assert check({**columns, "a": columns["b"]}).suite_hash == first.suite_hash
    assert check(columns, {"min_rows": 11}).suite_hash != first.suite_hash


def test_failure_still_leaves_result_and_docs(tmp_path, check, columns):
    refusal(check, {**columns, "id": put(columns["id"], {3: "r1"})})
    result = ValidationResult.model_validate_json(
        (tmp_path / "result" / "validation.json").read_bytes()
    )
    assert not result.success
    assert [failed.expectation for failed in result.failures] == [
        "expect_column_values_to_be_unique"
    ]
    assert (tmp_path / "docs" / "index.html").is_file()


def test_bad_values_are_named_with_column_and_ids(check, columns):
    bad = {
        "a": put(columns["a"], {2: np.nan, 4: np.nan, 7: None}),
        "b": put(columns["b"], {4: np.nan, 10: -np.inf, 11: 1e39}),
        "id": put(columns["id"], {20: None, 21: "r22"}),
        "label": columns["label"],
    }
    message = refusal(check, bad)
    assert "failed 5 of" in message
    assert "2 rows with NaN in 'a' (2 rows), 'b' (1 row): id 'r2', 'r4'" in message
    assert "1 row without a value in 'a' (1 row): id 'r7'" in message
    assert "2 rows with infinity (or a number too large for 32-bit floats) in 'b'" in message
    assert "id 'r10', 'r11'" in message
    assert "1 row without an id" in message
    assert "2 rows with the id of another row: id 'r22'" in message


def test_values_outside_the_range_are_named_with_the_limit(check, columns):
    bad = {**columns, "a": put(columns["a"], {4: -50.0, 5: 50.0})}
    message = refusal(check, bad, {"min_value": -10, "max_value": 10})
    assert "1 row with values below -10 in 'a' (lowest -50): id 'r4'" in message
    assert "1 row with values above 10 in 'a' (highest 50): id 'r5'" in message


@pytest.mark.parametrize("limits", [{}, {"sensitive": ["a"]}])
def test_values_at_the_limits_pass_as_32_bit_floats(check, columns, limits):
    """0.01 and 0.99 are smaller and larger in 32 bits than in 64."""
    clipped = {**columns, "a": np.clip(columns["a"], 0.01, 0.99), "b": np.linspace(0.1, 0.9, 60)}
    limits = {"min_value": 0.01, "max_value": 0.99, **limits}
    assert check(clipped, limits).success
    assert check({**clipped, "a": np.float32(clipped["a"])}, limits).success
    outside = {**clipped, "a": put(clipped["a"], {4: 0.0099999, 5: 0.990001})}
    message = refusal(check, outside, limits)
    assert "1 row with values below 0.01 in 'a'" in message
    assert "1 row with values above 0.99 in 'a'" in message
    assert "failed 2 of" in message


@pytest.mark.parametrize("limit", [1e39, -1e39])
def test_limit_beyond_32_bit_floats_is_the_last_of_them(check, columns, limit):
    side = "max_value" if limit > 0 else "min_value"
    assert check(columns, {side: limit}).success


def test_label_outside_the_classes_is_named(check, columns):
    bad = {**columns, "label": put(columns["label"], {9: "q"})}
    message = refusal(check, bad, classes=["x", "y", "z"])
    assert "1 row with a label outside the classes 'x', 'y', 'z' (such as 'q'): id 'r9'" in message


def test_class_without_a_row_is_named_for_each_split(check, columns):
    message = refusal(check, columns, classes=["x", "y", "z", "w"])
    assert "the labelled split has no row of class 'w'" in message
    assert "the test split has no row of class 'w'" in message


def test_splits_and_classes_with_too_few_rows_are_named(check, columns):
    message = refusal(check, columns, {"min_rows": 20, "min_rows_per_class": 7})
    assert "the test split has 18 rows; at least 20 are needed" in message
    assert "the labelled split has" not in message
    assert "classes with fewer than 7 rows in the test split: 'x' (6), 'y' (6), 'z' (6)" in message


def test_one_class_with_nearly_all_rows_is_named(check, columns):
    message = refusal(
        check, {**columns, "label": ["x"] * 50 + ["y"] * 10}, {"max_class_share": 0.8}
    )
    assert "class 'x' has 83.3% of the labelled rows; at most 80.0% are allowed" in message


def fold(columns):
    """The columns with a split column: 30 labelled, 10 unlabelled, 20 test rows."""
    return {**columns, "split": ["labelled"] * 30 + ["unlabelled"] * 10 + ["test"] * 20}


def test_row_without_label_in_the_test_split_is_named(check, columns):
    bad = fold({**columns, "label": put(columns["label"], {0: None, 35: None, 55: None})})
    message = refusal(check, bad, split={"by": "column"})
    assert "2 rows without a label in the labelled and test splits: id 'r0', 'r55'" in message


def test_test_row_with_the_features_of_a_training_row_is_named(check, columns):
    a = put(columns["a"], {41: columns["a"][3], 42: -0.0, 35: 0.0})
    b = put(columns["b"], {41: columns["b"][3], 42: columns["b"][35]})
    message = refusal(check, fold({**columns, "a": a, "b": b}), split={"by": "column"})
    assert "2 rows of the test split (10.0%; tolerated are 0.0%)" in message
    assert "id 'r41' equals 'r3', id 'r42' equals 'r35'" in message


@pytest.mark.parametrize(("tolerated", "passes"), [(0.7, True), (0.65, False)])
def test_overlap_is_tolerated_up_to_the_limit(check, columns, tolerated, passes):
    copies = {40 + row: columns["a"][row] for row in range(14)}
    others = {40 + row: columns["b"][row] for row in range(14)}
    data = fold({**columns, "a": put(columns["a"], copies), "b": put(columns["b"], others)})
    limits = {"max_test_overlap": tolerated}
    if passes:
        assert check(data, limits, split={"by": "column"}).success
    else:
        assert "14 rows of the test split (70.0%" in refusal(
            check, data, limits, split={"by": "column"}
        )


def test_test_row_with_the_id_of_a_training_row_is_named(check, columns):
    bad = fold({**columns, "id": put(columns["id"], {50: "r1"})})
    message = refusal(check, bad, {"max_test_overlap": 1}, split={"by": "column"})
    assert "1 row of the test split with the id of a training row: id 'r1'" in message


def test_data_with_no_row_in_any_split_are_refused(check, columns):
    message = refusal(
        check, {**columns, "split": [None] * 60}, split={"by": "column"}, classes=["x", "y", "z"]
    )
    assert "the labelled split has 0 rows" in message
    assert "the test split has 0 rows" in message


def png(width, height):
    buffer = io.BytesIO()
    Image.new("L", (width, height), width * height).save(buffer, "PNG")
    return buffer.getvalue()


def test_unusable_encoded_images_are_named(check, columns):
    images = put([png(4, 4)] * 60, {3: b"no image", 4: png(5, 4), 5: None})
    size = {"kind": "image", "column": "image", "size": [1, 4, 4]}
    message = refusal(check, {**columns, "image": images}, {"max_test_overlap": 1}, input=size)
    assert "2 rows with an unusable image (cannot be decoded, is 4x5, but data.input" in message
    assert "id 'r3', 'r4'" in message
    assert "1 row without a value in 'image' (1 row): id 'r5'" in message


def test_unusable_listed_images_are_named(check, columns):
    images = [[float(row), 1.0, 2.0, 3.0] for row in range(60)]
    images = put(images, {3: [1.0], 4: None, 5: [1.0, None, 2.0, 3.0], 6: [np.nan, 1.0, 2.0, 3.0]})
    size = {"kind": "image", "column": "image", "size": [1, 2, 2]}
    message = refusal(check, {**columns, "image": images}, input=size)
    assert "has 1 values, data.input.size needs 4): id 'r3'" in message
    assert "2 rows without a value in 'image' (2 rows): id 'r4', 'r5'" in message
    assert "1 row with NaN in 'image' (1 row): id 'r6'" in message


def test_number_of_checks_does_not_grow_with_the_columns(tmp_path, check, spec, write, columns):
    narrow = check(columns)
    wide = {f"c{index}": columns["a"] for index in range(300)}
    path = write({**columns, **wide}, "wide.parquet")
    resolve(spec(path, input={"kind": "tabular", "columns": list(wide)}), tmp_path / "wide")
    result = validate(
        tmp_path / "wide", ValidationSpec(min_rows=10), tmp_path / "r.json", tmp_path / "d"
    )
    assert len(result.checks) == len(narrow.checks)


def test_missing_values_are_no_fault_where_the_column_has_a_policy_for_them(check, columns):
    data = {
        **columns,
        "a": put(columns["a"], {2: None, 3: np.nan}),
        "b": put(columns["b"], {4: None}),
    }
    given = {"kind": "tabular", "columns": [{"name": "a", "missing": "mean"}, "b"]}
    message = refusal(check, data, input=given)
    assert "failed 1 of" in message
    assert "1 row without a value in 'b' (1 row): id 'r4'" in message


def test_unknown_category_is_named_where_it_is_an_error(check, columns):
    column = {"name": "c", "kind": "categorical", "categories": ["p", "q"], "unknown": "error"}
    data = {**columns, "c": put(["p", "q", None] * 20, {7: "z"})}
    with_c = {"kind": "tabular", "columns": ["a", "b", column]}
    message = refusal(check, data, input=with_c)
    assert "failed 1 of" in message
    assert "1 row with an unknown category in 'c' (1 row): id 'r7'" in message


def test_texts_are_checked_by_their_tokens(check, columns):
    texts = [f"the text of row {row} is its own" for row in range(60)]
    given = {"kind": "text", "column": "t", "tokenizer": {"kind": "hash"}, "length": 16}
    data = fold({**columns, "t": put(texts, {45: texts[3]})})
    message = refusal(check, data, input=given, split={"by": "column"})
    assert "failed 1 of" in message
    assert "id 'r45' equals 'r3'" in message
