"""The expectations that splits and classes have to meet, judged on merged figures."""

import great_expectations.expectations as gxe
from great_expectations.expectations.row_conditions import Column

from components.data_validation import findings
from components.data_validation.evidence import Evidence
from components.data_validation.quarantine.policies import policies_that_quarantine
from components.data_validation.suite import Check


def split_checks(evidence: Evidence) -> list[Check]:
    """Checks of the sizes of splits and classes."""
    spec, label = evidence.spec, evidence.manifest.label
    checks = [
        Check(
            name="unbalanced",
            rule=f"no class has more than {spec.max_class_share:.0%} of the labelled rows",
            expectation=gxe.ExpectColumnMaxToBeBetween(
                column="class_share",
                max_value=spec.max_class_share,
                row_condition=Column("split") == "labelled",
            ),
            frame="splits",
            column=label,
            finding=findings.balance(spec.max_class_share),
            advice="add rows of the other classes, or raise validation.max_class_share",
            policy=spec.policies.unbalanced,
        )
    ]
    for split in ("labelled", "test"):
        inside = Column("split") == split
        per_class = spec.min_rows_per_class
        checks += [
            Check(
                name="few_rows",
                rule=f"the {split} split has at least {spec.min_rows} rows",
                expectation=gxe.ExpectColumnMinToBeBetween(
                    column="split_rows", min_value=spec.min_rows, row_condition=inside
                ),
                frame="splits",
                column=None,
                finding=findings.split_size(split, spec.min_rows),
                advice="add rows, change data.split, or lower validation.min_rows",
                policy=spec.policies.few_rows,
            ),
            Check(
                name="absent_class",
                rule=f"every class is in the {split} split",
                expectation=gxe.ExpectColumnDistinctValuesToContainSet(
                    column="label", value_set=evidence.manifest.classes, row_condition=inside
                ),
                frame="splits",
                column=label,
                finding=findings.absent_classes(split),
                advice="add rows of it, or take it out of data.classes",
                policy=spec.policies.absent_class,
            ),
            Check(
                name="few_rows_of_class",
                rule=f"a class in the {split} split has at least {per_class} rows there",
                expectation=gxe.ExpectColumnMinToBeBetween(
                    column="class_rows", min_value=per_class, row_condition=inside
                ),
                frame="splits",
                column=label,
                finding=findings.small_classes(split, per_class),
                advice="add rows, change data.split, or lower validation.min_rows_per_class",
                policy=spec.policies.few_rows_of_class,
            ),
        ]
    if policies_that_quarantine(spec):
        checks.append(_taken_out(spec.max_quarantined))
    return checks


def _taken_out(most: float) -> Check:
    def find(evidence: Evidence) -> str:
        taken = len(evidence.scan.taken.positions)
        share = taken / max(taken + evidence.rows_in("labelled", "unlabelled", "test"), 1)
        return (
            f"{findings.count(taken)} ({share:.1%}) are to be taken out; at most {most:.1%} may be"
        )

    return Check(
        name="max_quarantined",
        rule=f"at most {most:.0%} of the rows are taken out",
        expectation=gxe.ExpectColumnMaxToBeBetween(column="taken_out", max_value=most),
        frame="splits",
        column=None,
        finding=find,
        advice="correct the data, or raise validation.max_quarantined",
    )
