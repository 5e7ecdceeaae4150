"""All checks of a data set, judged; importing this module loads Great Expectations."""

from dataclasses import dataclass

import pandas as pd

from components.data_validation.coverage.distances import LEAST_POOL, LEAST_TEST, Coverage
from components.data_validation.coverage.suite import coverage_checks, coverage_frame
from components.data_validation.custom.own import OwnExpectations
from components.data_validation.drift.comparing import differing_columns, drift_frame
from components.data_validation.drift.suite import drift_checks
from components.data_validation.evidence import Evidence
from components.data_validation.expectations import run_checks, suite_hash
from components.data_validation.frame import rows_frame, schema_frame, splits_frame
from components.data_validation.suite import row_checks, schema_checks
from components.data_validation.suite_of_equal_rows import equal_rows_checks
from components.data_validation.suite_of_splits import split_checks
from components.shared.results.profile import DataProfile
from components.shared.results.validation import CheckResult


@dataclass(frozen=True)
class Verdict:
    """What the checks came to."""

    checks: list[CheckResult]
    suite_hash: str
    notes: list[str]
    """What was not looked at, and why."""


def judge_all(
    evidence: Evidence,
    own: OwnExpectations,
    covered: Coverage | None,
    before: DataProfile | None,
) -> Verdict:
    """Run every check, and write the pages.

    Args:
        evidence: what was found in the data.
        own: the expectations of the recipe, which have seen all rows.
        covered: what the transfer pool covers; null where there are too few rows to tell.
        before: profile of the champion's data, if there is one.
    """
    frames: dict[str, pd.DataFrame] = {
        "schema": schema_frame(evidence),
        "rows": rows_frame(evidence),
        "splits": splits_frame(evidence),
    }
    checks = [
        *schema_checks(evidence),
        *row_checks(evidence),
        *equal_rows_checks(evidence),
        *split_checks(evidence),
    ]
    notes = []
    if covered is None:
        notes.append(
            f"coverage: not looked at, since it takes {LEAST_POOL} training rows and {LEAST_TEST} "
            "test rows"
        )
    else:
        frames["coverage"] = coverage_frame(covered)
        checks += coverage_checks(evidence, covered)
    drift = evidence.spec.drift
    if drift is not None and before is not None:
        frames["drift"] = drift_frame(drift, evidence, before)
        checks += drift_checks(drift, evidence, frames["drift"])
        notes += differing_columns(evidence, before)
    outcomes = [*run_checks(own.great, frames, checks, evidence), *own.conclude(evidence)]
    own.great.build_docs()
    listed = [spec.model_dump(mode="json") for spec in evidence.spec.expectations]
    return Verdict(outcomes, suite_hash(checks, listed), notes)
