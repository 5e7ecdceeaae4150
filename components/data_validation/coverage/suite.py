"""The expectation about coverage."""

import great_expectations.expectations as gxe
import pandas as pd

from components.data_validation.coverage.distances import Coverage
from components.data_validation.evidence import Evidence
from components.data_validation.suite import Check


def coverage_frame(found: Coverage) -> pd.DataFrame:
    """One row: ``share`` of uncovered test rows, and ``surely``, its lower confidence bound."""
    return pd.DataFrame([{"share": found.share, "surely": found.surely, "rows": found.test}])


def coverage_checks(evidence: Evidence, found: Coverage) -> list[Check]:
    """The check of the share of test rows that the pool does not cover."""
    spec = evidence.spec.coverage
    return [
        Check(
            name="coverage",
            rule=f"the transfer pool covers all but {spec.max_uncovered:.0%} of the test rows",
            expectation=gxe.ExpectColumnMaxToBeBetween(
                column="surely", max_value=spec.max_uncovered
            ),
            frame="coverage",
            column=None,
            finding=lambda _: (
                f"the transfer pool does not cover {found.share:.1%} of the test rows "
                f"({found.uncovered} of {found.test} that were sampled; at least {found.surely:.1%}"
                f" for sure, at most {spec.max_uncovered:.1%} are allowed)"
            ),
            advice="add unlabelled rows like those of the test split",
            policy=spec.on_failure,
        )
    ]
