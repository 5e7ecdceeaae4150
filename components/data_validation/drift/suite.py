"""The expectations about drift."""

import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.expectations.row_conditions import Column

from components.data_validation.drift.comparing import CLASSES
from components.data_validation.evidence import SHOWN, Evidence
from components.data_validation.suite import Check
from components.shared.recipe.validation import DriftSpec


def drift_checks(spec: DriftSpec, evidence: Evidence, frame: pd.DataFrame) -> list[Check]:
    """Checks of the distances to the champion's training rows."""
    columns = frame[frame["kind"] == "column"]
    apart = columns[columns["judged"] > spec.max_psi].sort_values("judged", ascending=False)
    named = ", ".join(
        f"{name!r} ({value:.2f})"
        for name, value in zip(apart["subject"][:SHOWN], apart["judged"][:SHOWN], strict=True)
    )
    more = f" and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
    shift = float(frame.loc[frame["subject"] == CLASSES, "judged"].iloc[0])
    advice = "find out what changed at the source, or raise the limit in validation.drift"
    checks = [
        Check(
            name="drift_of_classes",
            rule="the class shares moved by at most "
            f"{spec.max_class_shift:.0%} from the champion's",
            expectation=gxe.ExpectColumnMaxToBeBetween(
                column="judged",
                max_value=spec.max_class_shift,
                row_condition=Column("kind") == "classes",
            ),
            frame="drift",
            column=evidence.manifest.label,
            finding=lambda _: (
                f"the class shares moved by {shift:.1%} from those that the champion was trained "
                f"on; at most {spec.max_class_shift:.1%} are allowed"
            ),
            advice=advice,
            policy=spec.on_failure,
        )
    ]
    if len(columns):
        checks.append(
            Check(
                name="drift_of_columns",
                rule=f"no column moved from the champion's by a stability index over "
                f"{spec.max_psi:g}",
                expectation=gxe.ExpectColumnMaxToBeBetween(
                    column="judged",
                    max_value=spec.max_psi,
                    row_condition=Column("kind") == "column",
                ),
                frame="drift",
                column=None,
                finding=lambda _: (
                    f"{len(apart)} of {len(columns)} columns moved from those that the champion "
                    f"was trained on by a stability index over {spec.max_psi:g}: {named}{more}"
                ),
                advice=advice,
                policy=spec.on_failure,
            )
        )
    return checks
