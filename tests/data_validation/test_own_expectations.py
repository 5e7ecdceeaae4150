"""Expectations of the recipe: by hand in it, in a file beside it, or inferred."""

import pytest
import yaml

from components.data_validation.custom.inferring import infer_suite
from components.data_validation.resolve import resolve
from components.data_validation.scan import scanning
from components.shared.errors import UserError
from components.shared.recipe import DataSpec, ValidationSpec, parse_section
from components.shared.recipe.validation import with_suite

BETWEEN = "expect_column_values_to_be_between"


def expect(name, **fields):
    return {"expectation": f"expect_column_{name}", **fields}


def parsed(*expectations):
    return parse_section(ValidationSpec, {"expectations": list(expectations)}, "validation")


@pytest.fixture
def results(check, columns, monkeypatch):
    """Results by number of expectation, over batches of 8 rows."""
    monkeypatch.setattr(scanning, "_MOST_ROWS", 8)

    def results(*expectations, data=None, **limits):
        found = check(
            data or columns,
            {"expectations": parsed(*expectations).expectations, **limits},
            slices=["c", "t"],
        )
        own = [check for check in found.checks if check.name.startswith("expectations[")]
        assert [check.name for check in own] == [f"expectations[{n}]" for n in range(len(own))]
        return own

    columns["c"] = [row % 7 for row in range(60)]
    columns["t"] = [f"t-{row:02d}" for row in range(60)]
    return results


def test_each_kind_is_judged_over_all_batches(results, columns):
    values = columns["a"]
    mean = sum(values) / 60
    deviation = (sum((value - mean) ** 2 for value in values) / 59) ** 0.5
    near = {"min_value": mean - 1e-9, "max_value": mean + 1e-9}
    spread = {"min_value": deviation - 1e-9, "max_value": deviation + 1e-9}
    warn = {"on_failure": "warn"}
    holding = [
        expect("values_to_be_between", column="c", min_value=0, max_value=6),
        expect("values_to_be_between", column="c", min_value=0, max_value=5, mostly=0.8),
        expect("values_to_be_in_set", column="c", value_set=list(range(7))),
        expect("values_to_match_regex", column="t", regex=r"^t-\d\d$"),
        expect("value_lengths_to_be_between", column="t", min_value=4, max_value=4),
        expect("pair_values_to_be_equal", column_A="c", column_B="c"),
        expect("mean_to_be_between", column="a", **near),
        expect("stdev_to_be_between", column="a", **spread),
        expect("min_to_be_between", column="a", max_value=min(values)),
        expect("max_to_be_between", column="a", min_value=max(values)),
        expect("sum_to_be_between", column="c", min_value=174, max_value=174),
        expect("distinct_values_to_equal_set", column="c", value_set=list(range(7))),
        expect("unique_value_count_to_be_between", column="t", min_value=60, max_value=60),
    ]
    broken = [
        expect("values_to_be_between", column="c", max_value=5, mostly=0.9, **warn),
        expect("values_to_not_be_in_set", column="c", value_set=[6], **warn),
        expect("values_to_not_match_regex", column="t", regex="-59", **warn),
        expect("pair_values_a_to_be_greater_than_b", column_A="c", column_B="a", **warn),
        expect("mean_to_be_between", column="a", min_value=mean + 1e-6, **warn),
        expect("distinct_values_to_contain_set", column="c", value_set=[7], **warn),
    ]
    found = results(*holding, *broken)

    assert [check.status for check in found] == ["passed"] * 13 + ["warned"] * 6
    assert found[13].observed == found[14].observed == 8
    assert (
        "8 rows not as validation.expectations[13] says, 'c': column values to be between "
        "(max_value 5.0, mostly 0.9) (such as 6, 6, 6, 6, 6): id 'r6', 'r13', 'r20', 'r27', 'r34', "
        "…" in found[13].message
    )
    assert "id 'r59'" in found[15].message


def test_rows_that_are_not_so_are_taken_out_batch_by_batch(results, tmp_path):
    (found,) = results(
        expect(
            "values_to_be_between", column="c", max_value=5, mostly=0.5, on_failure="quarantine"
        ),
        max_quarantined=0.2,
    )
    assert found.status == "quarantined"
    assert found.observed == 8
    assert (tmp_path / "result" / "quarantine.parquet").is_file()


def test_nothing_to_look_at_is_a_failure(results, columns):
    with pytest.raises(UserError, match="there was no value to check"):
        results(
            expect("values_to_be_between", column="c", min_value=0),
            data={**columns, "c": [None] * 60},
        )


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (expect("values_to_be_betwen", column="a"), "did you mean expect_column_values_to_be_bet"),
        (
            expect("values_to_be_null", column="a", mostyl=1),
            "mostyl: unknown field; did you mean m",
        ),
        (expect("median_to_be_between", column="a"), "needs all values of a column at once"),
        (expect("values_to_be_null", column="a", mostly=1.5), "at most 1, not 1.5"),
        (expect("mean_to_be_between", column="a"), "needs min_value or max_value"),
    ],
)
def test_mistake_is_named_with_what_was_probably_meant(expectation, message):
    with pytest.raises(UserError) as error:
        parsed(expectation)
    assert "validation.expectations[0]" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            expect("values_to_be_null", column="aa"),
            "no column 'aa' among those that data uses; did",
        ),
        (expect("values_to_match_regex", column="a", regex="x"), "'a' holds number, but"),
        (expect("mean_to_be_between", column="id", min_value=0), "'id' holds text, but"),
    ],
)
def test_column_that_is_not_there_or_holds_something_else_is_named(
    check, columns, expectation, message
):
    with pytest.raises(UserError) as error:
        check(columns, {"expectations": parsed(expectation).expectations})
    assert message in str(error.value)


def test_suite_in_a_file_comes_before_the_recipe_s_own(tmp_path):
    (tmp_path / "suite.yaml").write_text(
        yaml.safe_dump([expect("values_to_be_null", column="a")]), encoding="utf-8"
    )
    own = expect("values_to_not_be_null", column="b")
    section = with_suite({"suite": "suite.yaml", "expectations": [own]}, tmp_path)
    spec = parse_section(ValidationSpec, section, "validation")
    assert [found.column for found in spec.expectations] == ["a", "b"]
    with pytest.raises(UserError, match="No such file"):
        with_suite({"suite": "other.yaml"}, tmp_path)
    (tmp_path / "suite.yaml").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="a list of expectations"):
        with_suite({"suite": "suite.yaml"}, tmp_path)


@pytest.mark.parametrize("value", [20240131, -20240131, 0.1, 0.0, 1000000.02, 123456.5])
def test_inferred_range_of_a_constant_column_holds_it(tmp_path, check, columns, value):
    """Six digits are fewer than a date has, and 32-bit floats have not all of its values."""
    data = {**columns, "a": [value] * 60}
    check(data)
    (tmp_path / "suite.yaml").write_text(infer_suite(tmp_path / "dataset"), encoding="utf-8")
    suite = with_suite({"suite": "suite.yaml"}, tmp_path)["expectations"]
    assert not check(data, {"expectations": suite}).warnings


def test_inferred_suite_holds_for_its_data_and_not_for_others(tmp_path, write):
    columns = ["mean radius", "mean texture"]
    section = {"uri": "builtin://breast_cancer", "input": {"kind": "tabular", "columns": columns}}
    resolve(parse_section(DataSpec, section, "data"), tmp_path / "dataset")
    text = infer_suite(tmp_path / "dataset", sensitive=["mean texture"])
    (tmp_path / "suite.yaml").write_text(text, encoding="utf-8")
    spec = parse_section(
        ValidationSpec, with_suite({"suite": "suite.yaml"}, tmp_path), "validation"
    )
    kinds = [(found.expectation, found.column) for found in spec.expectations]
    there = "expect_column_values_to_not_be_null"
    assert kinds == [(there, columns[0]), (BETWEEN, columns[0]), (there, columns[1])]
    assert spec.expectations[1].min_value == pytest.approx(6.981 - 2.1129, rel=1e-3)
