"""The expectations that every data set has to meet, each with what it means in plain words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import Column

from components.data_validation import findings
from components.data_validation.columns import ALLOWED
from components.data_validation.evidence import Evidence
from components.data_validation.findings import Finding
from components.data_validation.frame import used_columns
from components.shared.recipe import ValidationSpec
from components.shared.recipe.expectations import RowPolicy

FrameName = Literal["schema", "rows", "splits", "drift", "coverage"]


@dataclass(frozen=True)
class Check:
    """One expectation."""

    name: str
    """Short, as in ``validation.policies``."""
    rule: str
    """What should hold, as one plain sentence."""
    expectation: Expectation
    frame: FrameName
    """The data frame that it is judged on."""
    column: str | None
    """The user's column that it is about."""
    finding: Finding
    advice: str
    """What to do when it fails."""
    policy: RowPolicy = "fail"
    fault: str | None = None
    """The tally that counts the rows which break it, where it is about rows."""
    looked_at: Callable[[Evidence], int] | None = None
    """How many rows it is about, without those that are taken out, where it is about rows."""


TRAINED_OR_TESTED = Column("split").is_in(["labelled", "test"])
TEST = Column("split") == "test"


def schema_checks(evidence: Evidence) -> list[Check]:
    """Checks of columns and types."""
    used = used_columns(evidence.manifest)
    checks = [
        Check(
            name="columns",
            rule=f"the {len(used)} used columns are there",
            expectation=gxe.ExpectColumnDistinctValuesToEqualSet(
                column="column", value_set=list(used)
            ),
            frame="schema",
            column=None,
            finding=findings.columns,
            advice="resolve the data set again",
        )
    ]
    for role in dict.fromkeys(role for role in used.values() if role != "split"):
        allowed = ALLOWED[role]
        checks.append(
            Check(
                name="types",
                rule=f"the type of every {role} column is one of: {', '.join(allowed)}",
                expectation=gxe.ExpectColumnValuesToBeInSet(
                    column="kind", value_set=list(allowed), row_condition=Column("role") == role
                ),
                frame="schema",
                column=None,
                finding=findings.types(role, allowed),
                advice="convert the columns",
            )
        )
    return checks


def row_checks(evidence: Evidence) -> list[Check]:
    """Checks of single rows, judged on witnesses."""
    spec = evidence.spec
    return [
        *_ids(evidence, spec),
        *_labels(evidence, spec),
        *_features(evidence, spec),
        *_ranges(evidence, spec),
    ]


def _all(evidence: Evidence) -> int:
    return evidence.rows_in("labelled", "unlabelled", "test")


def judged(evidence: Evidence) -> int:
    """Rows whose labels are read."""
    return evidence.rows_in("labelled", "test")


def _tested(evidence: Evidence) -> int:
    return evidence.rows_in("test")


def _ids(evidence: Evidence, spec: ValidationSpec) -> list[Check]:
    name = evidence.manifest.id
    return [
        Check(
            name="missing_id",
            rule=f"every row has an id ({name!r})",
            expectation=gxe.ExpectColumnValuesToNotBeNull(column="id"),
            frame="rows",
            column=name,
            finding=findings.rows("missing_id", "without an id"),
            advice="give each row a unique id",
            policy=spec.policies.missing_id,
            fault="missing_id",
            looked_at=_all,
        ),
        Check(
            name="duplicate_id",
            rule=f"no two rows have the same id ({name!r})",
            expectation=gxe.ExpectColumnValuesToBeUnique(column="id"),
            frame="rows",
            column=name,
            finding=findings.rows("duplicate_id", "with the id of another row"),
            advice="remove the copies, or give each row an id of its own",
            policy=spec.policies.duplicate_id,
            fault="duplicate_id",
            looked_at=_all,
        ),
        Check(
            name="shared_id",
            rule="no test row has the id of a training row",
            expectation=gxe.ExpectColumnValuesToBeNull(column="same_id_in", row_condition=TEST),
            frame="rows",
            column=name,
            finding=findings.rows("shared_id", "of the test split with the id of a training row"),
            advice="remove them from one of the two",
            policy=spec.policies.shared_id,
            fault="shared_id",
            looked_at=_tested,
        ),
    ]


def _labels(evidence: Evidence, spec: ValidationSpec) -> list[Check]:
    name, classes = evidence.manifest.label, evidence.manifest.classes
    return [
        Check(
            name="missing_label",
            rule="every row of the labelled and test splits has a label",
            expectation=gxe.ExpectColumnValuesToNotBeNull(
                column="label", row_condition=TRAINED_OR_TESTED
            ),
            frame="rows",
            column=name,
            finding=findings.rows(
                "missing_label", "without a label in the labelled and test splits"
            ),
            advice="label them, or move them to the unlabelled split",
            policy=spec.policies.missing_label,
            fault="missing_label",
            looked_at=judged,
        ),
        Check(
            name="unknown_label",
            rule=f"every label is one of the {len(classes)} classes",
            expectation=gxe.ExpectColumnValuesToBeInSet(
                column="label", value_set=classes, row_condition=TRAINED_OR_TESTED
            ),
            frame="rows",
            column=name,
            finding=findings.labels,
            advice="correct the labels, or add them to data.classes",
            policy=spec.policies.unknown_label,
            fault="unknown_label",
            looked_at=judged,
        ),
    ]


def _features(evidence: Evidence, spec: ValidationSpec) -> list[Check]:
    given, policies = evidence.manifest.input, spec.policies
    name = given.column if given.kind != "tabular" else None
    faults: list[tuple[str, str, str, RowPolicy, str]] = [
        ("missing", "missing_in", "has a missing value", policies.missing, "without a value"),
        ("nan", "nan_in", "is NaN", policies.nan, "with NaN"),
        (
            "infinite",
            "infinite_in",
            "is infinite",
            policies.infinite,
            "with infinity (or a number too large for 32-bit floats)",
        ),
    ]
    advice = "fill or correct the values, or remove the rows"
    if given.kind == "tabular":
        words = "with an unknown category"
        faults.append(
            (
                "unknown_category",
                "unknown_in",
                "has an unknown category",
                policies.unknown_category,
                words,
            )
        )
    checks = [
        Check(
            name=fault,
            rule=f"no feature {rule}",
            expectation=gxe.ExpectColumnValuesToBeNull(column=helper),
            frame="rows",
            column=name,
            finding=findings.features(fault, words),
            advice=advice
            if fault != "unknown_category"
            else "correct them, add them to the column's categories, or set its unknown: other",
            policy=policy,
            fault=fault,
            looked_at=_all,
        )
        for fault, helper, rule, policy, words in faults
    ]
    if given.kind == "image":
        checks.append(
            Check(
                name="unreadable",
                rule="every image can be read and has the size that data.input.size says",
                expectation=gxe.ExpectColumnValuesToBeNull(column="unreadable"),
                frame="rows",
                column=name,
                finding=findings.images,
                advice="replace the images, or correct data.input.size",
                policy=policies.unreadable,
                fault="unreadable",
                looked_at=_all,
            )
        )
    return checks


def _ranges(evidence: Evidence, spec: ValidationSpec) -> list[Check]:
    given, limits = evidence.manifest.input, evidence.limits
    name = given.column if given.kind != "tabular" else None
    checks = []
    if limits.least is not None:
        checks.append(
            Check(
                name="out_of_range",
                rule=f"no feature is below {limits.least:g}",
                expectation=gxe.ExpectColumnValuesToBeBetween(
                    column="smallest", min_value=limits.least
                ),
                frame="rows",
                column=name,
                finding=findings.below(limits.least),
                advice="correct the values, or lower validation.min_value",
                policy=spec.policies.out_of_range,
                fault="below",
                looked_at=_all,
            )
        )
    if limits.greatest is not None:
        checks.append(
            Check(
                name="out_of_range",
                rule=f"no feature is above {limits.greatest:g}",
                expectation=gxe.ExpectColumnValuesToBeBetween(
                    column="largest", max_value=limits.greatest
                ),
                frame="rows",
                column=name,
                finding=findings.above(limits.greatest),
                advice="correct the values, or raise validation.max_value",
                policy=spec.policies.out_of_range,
                fault="above",
                looked_at=_all,
            )
        )
    return checks
