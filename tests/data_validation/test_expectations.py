"""What Great Expectations calls a success and is none."""

import great_expectations.expectations as gxe
import pytest

from components.data_validation.expectations import Suite, run_suites
from components.data_validation.frame import derive
from components.data_validation.resolve import resolve
from components.data_validation.suite import Check
from components.shared.dataset import Dataset


@pytest.fixture
def derived(tmp_path, spec, write, columns):
    resolve(spec(write(columns)), tmp_path / "dataset")
    return derive(Dataset.open(tmp_path / "dataset"))


def run(derived, frame, expectations, docs):
    checks = [
        Check("it holds", expectation, None, lambda *_: "it does not hold", "do something")
        for expectation in expectations
    ]
    return run_suites([Suite("rows", frame, "id", checks)], derived, docs)


def test_passing_expectation_is_a_success(tmp_path, derived):
    expectations = [gxe.ExpectColumnValuesToNotBeNull(column="id")]
    (outcome,) = run(derived, derived.rows, expectations, tmp_path / "docs")
    assert outcome.success
    assert outcome.message == "it holds"


def test_empty_suite_is_a_failure(tmp_path, derived):
    (outcome,) = run(derived, derived.rows, [], tmp_path / "docs")
    assert not outcome.success
    assert "nothing was checked" in outcome.message


@pytest.mark.parametrize(
    "expectation",
    [
        gxe.ExpectColumnValuesToNotBeNull(column="id"),
        gxe.ExpectColumnValuesToBeNull(column="nan_in"),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectColumnValuesToBeBetween(column="smallest", min_value=0),
        gxe.ExpectColumnMaxToBeBetween(column="class_share", max_value=1),
    ],
)
def test_zero_rows_are_a_failure(tmp_path, derived, expectation):
    (outcome,) = run(derived, derived.rows.iloc[:0], [expectation], tmp_path / "docs")
    assert not outcome.success


def test_column_of_missing_values_is_not_within_a_range(tmp_path, derived):
    frame = derived.rows.assign(smallest=float("nan"))
    expectations = [gxe.ExpectColumnValuesToBeBetween(column="smallest", min_value=0)]
    (outcome,) = run(derived, frame, expectations, tmp_path / "docs")
    assert not outcome.success
    assert "there was no value to check" in outcome.message


def test_expectation_that_raised_is_a_failure_beside_others_that_passed(tmp_path, derived):
    expectations = [
        gxe.ExpectColumnValuesToNotBeNull(column="nowhere"),
        gxe.ExpectColumnValuesToNotBeNull(column="id"),
    ]
    raised, passed = run(derived, derived.rows, expectations, tmp_path / "docs")
    assert not raised.success
    assert 'could not be checked (Error: The column "nowhere"' in raised.message
    assert passed.success
