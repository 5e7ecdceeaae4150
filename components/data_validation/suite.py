"""The expectations of a data set, each with what it means in plain words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import Column

from components.data_validation import findings
from components.data_validation.columns import ALLOWED, Role
from components.data_validation.frame import Derived
from components.shared.recipe import ValidationSpec

Finding = Callable[[Derived, dict[str, Any]], str]
"""Says what was found, from the data and Great Expectations' result; called on failure."""


@dataclass(frozen=True)
class Check:
    """One expectation."""

    rule: str
    """What should hold, as one plain sentence."""
    expectation: Expectation
    column: str | None
    """The user's column that it is about."""
    finding: Finding
    advice: str
    """What to do when it fails."""


_TRAINED_OR_TESTED = Column("split").is_in(["labelled", "test"])
_TEST = Column("split") == "test"


def schema_checks(derived: Derived) -> list[Check]:
    """Checks of columns and types, on ``derived.schema``."""
    manifest = derived.manifest
    spec = manifest.input
    feature_role: Role = "feature" if spec.kind == "tabular" else "image"
    features = spec.columns if spec.kind == "tabular" else [spec.column]
    used = [manifest.id, manifest.label, *features, "split"]
    roles: list[Role] = ["id", "label", feature_role]
    checks = [
        Check(
            rule=f"the {len(used)} used columns are there",
            expectation=gxe.ExpectColumnDistinctValuesToEqualSet(column="column", value_set=used),
            column=None,
            finding=findings.columns,
            advice="resolve the data set again",
        )
    ]
    for role in roles:
        allowed = ALLOWED[role]
        checks.append(
            Check(
                rule=f"the type of every {role} column is one of: {', '.join(allowed)}",
                expectation=gxe.ExpectColumnValuesToBeInSet(
                    column="kind", value_set=list(allowed), row_condition=Column("role") == role
                ),
                column=None,
                finding=findings.types,
                advice="convert the columns",
            )
        )
    return checks


def row_checks(derived: Derived, spec: ValidationSpec) -> list[Check]:
    """Checks of rows and splits, on ``derived.rows``."""
    return [
        *_ids(derived),
        *_labels(derived, spec),
        *_splits(derived, spec),
        *_features(derived, spec),
        *_overlap(derived, spec),
    ]


def _ids(derived: Derived) -> list[Check]:
    name = derived.manifest.id
    return [
        Check(
            rule=f"every row has an id ({name!r})",
            expectation=gxe.ExpectColumnValuesToNotBeNull(column="id"),
            column=name,
            finding=findings.rows("without an id"),
            advice="give each row a unique id",
        ),
        Check(
            rule=f"no two rows have the same id ({name!r})",
            expectation=gxe.ExpectColumnValuesToBeUnique(column="id"),
            column=name,
            finding=findings.rows("with the id of another row"),
            advice="remove the copies, or give each row an id of its own",
        ),
    ]


def _labels(derived: Derived, spec: ValidationSpec) -> list[Check]:
    name, classes = derived.manifest.label, derived.manifest.classes
    return [
        Check(
            rule="every row of the labelled and test splits has a label",
            expectation=gxe.ExpectColumnValuesToNotBeNull(
                column="label", row_condition=_TRAINED_OR_TESTED
            ),
            column=name,
            finding=findings.rows("without a label in the labelled and test splits"),
            advice="label them, or move them to the unlabelled split",
        ),
        Check(
            rule=f"every label is one of the {len(classes)} classes",
            expectation=gxe.ExpectColumnValuesToBeInSet(
                column="label", value_set=classes, row_condition=_TRAINED_OR_TESTED
            ),
            column=name,
            finding=findings.labels,
            advice="correct the labels, or add them to data.classes",
        ),
        Check(
            rule=f"no class has more than {spec.max_class_share:.0%} of the labelled rows",
            expectation=gxe.ExpectColumnMaxToBeBetween(
                column="class_share",
                max_value=spec.max_class_share,
                row_condition=Column("split") == "labelled",
            ),
            column=name,
            finding=findings.balance(spec.max_class_share),
            advice="add rows of the other classes, or raise validation.max_class_share",
        ),
    ]


def _splits(derived: Derived, spec: ValidationSpec) -> list[Check]:
    checks = []
    for split in ("labelled", "test"):
        inside = Column("split") == split
        per_class = spec.min_rows_per_class
        checks += [
            Check(
                rule=f"the {split} split has at least {spec.min_rows} rows",
                expectation=gxe.ExpectTableRowCountToBeBetween(
                    min_value=spec.min_rows, row_condition=inside
                ),
                column=None,
                finding=findings.split_size(split, spec.min_rows),
                advice="add rows, change data.split, or lower validation.min_rows",
            ),
            Check(
                rule=f"every class is in the {split} split",
                expectation=gxe.ExpectColumnDistinctValuesToContainSet(
                    column="label", value_set=derived.manifest.classes, row_condition=inside
                ),
                column=derived.manifest.label,
                finding=findings.absent_classes(split),
                advice="add rows of it, or take it out of data.classes",
            ),
            Check(
                rule=f"a class in the {split} split has at least {per_class} rows there",
                expectation=gxe.ExpectColumnMinToBeBetween(
                    column="class_rows", min_value=per_class, row_condition=inside
                ),
                column=derived.manifest.label,
                finding=findings.small_classes(split, per_class),
                advice="add rows, change data.split, or lower validation.min_rows_per_class",
            ),
        ]
    return checks


def _features(derived: Derived, spec: ValidationSpec) -> list[Check]:
    image = derived.manifest.input.kind == "image"
    name = derived.manifest.input.column if derived.manifest.input.kind == "image" else None
    faults = {
        "missing_in": ("has a missing value", "without a value"),
        "nan_in": ("is NaN", "with NaN"),
        "infinite_in": ("is infinite", "with infinity (or a number too large for 32-bit floats)"),
    }
    checks = [
        Check(
            rule=f"no feature {rule}",
            expectation=gxe.ExpectColumnValuesToBeNull(column=helper),
            column=name,
            finding=findings.features(helper, words),
            advice="fill or correct the values, or remove the rows",
        )
        for helper, (rule, words) in faults.items()
    ]
    if image:
        checks.append(
            Check(
                rule="every image can be read and has the size that data.input.size says",
                expectation=gxe.ExpectColumnValuesToBeNull(column="unreadable"),
                column=name,
                finding=findings.images,
                advice="replace the images, or correct data.input.size",
            )
        )
    if spec.min_value is not None:
        checks.append(
            Check(
                rule=f"no feature is below {spec.min_value:g}",
                expectation=gxe.ExpectColumnValuesToBeBetween(
                    column="smallest", min_value=spec.min_value
                ),
                column=name,
                finding=findings.below(spec.min_value),
                advice="correct the values, or lower validation.min_value",
            )
        )
    if spec.max_value is not None:
        checks.append(
            Check(
                rule=f"no feature is above {spec.max_value:g}",
                expectation=gxe.ExpectColumnValuesToBeBetween(
                    column="largest", max_value=spec.max_value
                ),
                column=name,
                finding=findings.above(spec.max_value),
                advice="correct the values, or raise validation.max_value",
            )
        )
    return checks


def _overlap(derived: Derived, spec: ValidationSpec) -> list[Check]:
    return [
        Check(
            rule="no test row has the id of a training row",
            expectation=gxe.ExpectColumnValuesToBeNull(column="same_id_in", row_condition=_TEST),
            column=derived.manifest.id,
            finding=findings.rows("of the test split with the id of a training row"),
            advice="remove them from one of the two",
        ),
        Check(
            rule=f"at most {spec.max_test_overlap:.0%} of the test rows have the features of a "
            "training row",
            expectation=gxe.ExpectColumnValuesToBeNull(
                column="same_features_as",
                # Rounded, since 1 - 0.7 is a little more than 0.3.
                mostly=round(1 - spec.max_test_overlap, 12),
                row_condition=_TEST,
            ),
            column=None,
            finding=findings.overlap(spec.max_test_overlap),
            advice="remove the copies, or raise validation.max_test_overlap",
        ),
    ]
