"""No value of a sensitive column is in anything that is shown."""

import pytest

from components.data_validation.resolve import resolve
from components.data_validation.validate import validate
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.recipe import ValidationSpec, parse_section

PLANTED = ["SECRET-ID", "PRIVATE", "61234.5", "-71234.5", "81234"]


def shown(folder):
    """Everything below a folder but Parquet, which holds the data themselves."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    return {path: path.read_text(encoding="utf-8", errors="replace") for path in files}


def test_planted_values_are_in_no_message_result_page_or_profile(tmp_path, spec, write, columns):
    ids = [f"SECRET-ID-{row}" for row in range(60)]
    ids[5] = ids[4]
    a = [81234.0 + row / 100 for row in range(60)]
    a[3], a[4], a[9] = 61234.5, -71234.5, None
    a[45], b = a[7], list(columns["b"])
    b[45] = b[7]
    data = {
        **columns,
        "id": ids,
        "a": a,
        "b": b,
        "note": [f"PRIVATE-{row}" for row in range(60)],
        "split": ["labelled"] * 30 + ["unlabelled"] * 10 + ["test"] * 20,
    }
    given = spec(write(data), split={"by": "column"}, slices=["note"])
    resolve(given, tmp_path / "dataset")
    warn = {"on_failure": "warn"}
    expectations = [
        {"expectation": "expect_column_values_to_match_regex", "column": "note", "regex": "^x"},
        {"expectation": "expect_column_values_to_be_in_set", "column": "id", "value_set": ["x"]},
        {"expectation": "expect_column_max_to_be_between", "column": "a", "max_value": 1, **warn},
        {
            "expectation": "expect_column_distinct_values_to_be_in_set",
            "column": "note",
            "value_set": ["x"],
        },
    ]
    section = {
        "min_rows": 10,
        "min_value": -100,
        "max_value": 81000,
        "sensitive": ["id", "a", "note"],
        "policies": {"missing": "quarantine", "duplicate_id": "warn"},
        "expectations": expectations,
    }
    limits = parse_section(ValidationSpec, section, "validation")
    with pytest.raises(UserError) as error:
        validate(tmp_path / "dataset", limits, tmp_path / "out" / "result", tmp_path / "out" / "d")

    texts = {"message": str(error.value), **shown(tmp_path / "out")}
    assert len(texts) > 5
    for place, text in texts.items():
        for value in PLANTED:
            assert value not in text, (place, text[text.index(value) - 200 :][:300])
    message = str(error.value)
    assert "1 row with values below -100 in 'a': row 4" in message
    assert "row 45 equals row 7" in message
    assert "60 rows not as validation.expectations[0] says" in message


def test_later_steps_know_which_columns_are_sensitive(tmp_path, spec, write, columns):
    resolve(spec(write(columns)), tmp_path / "dataset")
    limits = ValidationSpec(min_rows=10, sensitive=["a", "id"])

    result = validate(
        tmp_path / "dataset", limits, tmp_path / "r", tmp_path / "d", checked=tmp_path / "checked"
    )

    before = Dataset.open(tmp_path / "dataset")
    checked = Dataset.open(tmp_path / "checked", result.checked_digest)
    assert checked.manifest.sensitive == ["a", "id"]
    assert checked.manifest.digest == before.manifest.digest
    assert checked.manifest.name_of(7, "id-7") == "row 7"


def test_label_cannot_be_hidden(check, columns):
    with pytest.raises(UserError, match="'label' is the label, and class names are in every"):
        check(columns, {"sensitive": ["label"]})


def test_sensitive_column_that_is_not_there_is_named(check, columns):
    with pytest.raises(UserError, match="sensitive: there is no column 'aa'"):
        check(columns, {"sensitive": ["aa"]})
