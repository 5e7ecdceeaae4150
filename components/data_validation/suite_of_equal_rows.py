"""The expectations about rows with equal features."""

import great_expectations.expectations as gxe

from components.data_validation import findings
from components.data_validation.evidence import Evidence
from components.data_validation.suite import TEST, TRAINED_OR_TESTED, Check, judged
from components.shared.recipe.expectations import RowPolicy


def equal_rows_checks(evidence: Evidence) -> list[Check]:
    """Checks of test rows against training rows, and of labels of equal rows."""
    spec = evidence.spec
    policies, tolerated = spec.policies, spec.max_test_overlap
    overlaps: list[tuple[str, str, RowPolicy]] = [
        ("copied_test_row", "have the features of a training row", policies.copied_test_row),
        (
            "nearly_copied_test_row",
            "have the features of a training row to five digits",
            policies.nearly_copied_test_row,
        ),
    ]
    checks = [
        Check(
            name=fault,
            rule=f"at most {tolerated:.0%} of the test rows {rule}",
            # Rounded, as shares of small splits are.
            expectation=gxe.ExpectColumnMaxToBeBetween(
                column=fault, max_value=round(tolerated + 1e-12, 15), row_condition=TEST
            ),
            frame="splits",
            column=None,
            finding=findings.overlap(fault, rule.replace("have", "with", 1), tolerated),
            advice="remove the copies, or raise validation.max_test_overlap",
            policy=policy,
            fault=fault,
        )
        for fault, rule, policy in overlaps
    ]
    checks.append(
        Check(
            name="conflicting_labels",
            rule="rows with equal features have the same label",
            expectation=gxe.ExpectColumnValuesToBeNull(
                column="other_label_than", row_condition=TRAINED_OR_TESTED
            ),
            frame="rows",
            column=evidence.manifest.label,
            finding=findings.conflicts,
            advice="correct the labels, or remove the rows",
            policy=policies.conflicting_labels,
            fault="conflicting_labels",
            looked_at=judged,
        )
    )
    return checks
