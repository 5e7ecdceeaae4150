"""What Great Expectations calls a success and is none."""

import great_expectations.expectations as gxe
import pytest

from components.data_validation.custom.own import OwnExpectations
from components.data_validation.evidence import Evidence
from components.data_validation.expectations import run_checks
from components.data_validation.frame import rows_frame
from components.data_validation.judge import Judge
from components.data_validation.resolve import resolve
from components.data_validation.scan.gathering import scan_of
from components.data_validation.suite import Check
from components.shared.dataset import Dataset
from components.shared.recipe import ValidationSpec


@pytest.fixture
def evidence(tmp_path, spec, write, columns):
    resolve(spec(write(columns)), tmp_path / "dataset")
    manifest, limits = Dataset.open(tmp_path / "dataset").manifest, ValidationSpec()
    own = OwnExpectations(limits, tmp_path)
    return Evidence(scan_of(manifest, tmp_path / "dataset", limits, own), limits)


def run(evidence, frame, expectations, docs, **fields):
    checks = [
        Check("it", "it holds", expectation, "rows", None, lambda _: "it fails", "do it", **fields)
        for expectation in expectations
    ]
    return run_checks(Judge(docs), {"rows": frame}, checks, evidence)


def test_passing_expectation_is_a_success(tmp_path, evidence):
    expectations = [gxe.ExpectColumnValuesToNotBeNull(column="id")]
    (outcome,) = run(evidence, rows_frame(evidence), expectations, tmp_path / "docs")
    assert outcome.success
    assert outcome.message == "it holds"


def test_empty_suite_is_a_failure(tmp_path, evidence):
    (outcome,) = run(evidence, rows_frame(evidence), [], tmp_path / "docs")
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
def test_zero_rows_are_a_failure(tmp_path, evidence, expectation):
    (outcome,) = run(evidence, rows_frame(evidence).iloc[:0], [expectation], tmp_path / "docs")
    assert not outcome.success


def test_column_of_missing_values_is_not_within_a_range(tmp_path, evidence):
    frame = rows_frame(evidence).assign(smallest=float("nan"))
    expectations = [gxe.ExpectColumnValuesToBeBetween(column="smallest", min_value=0)]
    (outcome,) = run(evidence, frame, expectations, tmp_path / "docs")
    assert not outcome.success
    assert "there was no value to check" in outcome.message


def test_expectation_that_raised_is_a_failure_beside_others_that_passed(tmp_path, evidence):
    expectations = [
        gxe.ExpectColumnValuesToNotBeNull(column="nowhere"),
        gxe.ExpectColumnValuesToNotBeNull(column="id"),
    ]
    raised, passed = run(evidence, rows_frame(evidence), expectations, tmp_path / "docs")
    assert not raised.success
    assert 'could not be checked (Error: The column "nowhere"' in raised.message
    assert passed.success


def test_verdict_that_differs_from_the_count_of_rows_is_a_failure(tmp_path, evidence):
    expectations = [gxe.ExpectColumnValuesToBeNull(column="nan_in")]
    evidence.scan.of("nan").rows = 1  # though no witness of it is in the frame
    (outcome,) = run(
        evidence,
        rows_frame(evidence),
        expectations,
        tmp_path / "docs",
        fault="nan",
        looked_at=lambda _: 60,
    )
    assert outcome.status == "failed"
    assert "disagree" in outcome.message


def test_policy_to_warn_does_not_cover_what_could_not_be_checked(tmp_path, evidence):
    expectations = [gxe.ExpectColumnValuesToNotBeNull(column="nowhere")]
    (outcome,) = run(evidence, rows_frame(evidence), expectations, tmp_path / "docs", policy="warn")
    assert outcome.status == "failed"
