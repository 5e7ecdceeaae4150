"""The checks for which rows are taken out, with the reason that is written beside the rows."""

from components.shared.recipe import ValidationSpec


def policies_that_quarantine(spec: ValidationSpec) -> dict[str, str]:
    """Faults for which rows are taken out, with the reason that is written beside the rows."""
    chosen = spec.policies
    reasons = {
        "missing": (chosen.missing, "a feature is missing"),
        "nan": (chosen.nan, "a feature is NaN"),
        "infinite": (chosen.infinite, "a feature is infinite or too large for 32-bit floats"),
        "unknown_category": (chosen.unknown_category, "a category is unknown"),
        "unreadable": (chosen.unreadable, "the image cannot be used"),
        "below": (chosen.out_of_range, "a feature is below validation.min_value"),
        "above": (chosen.out_of_range, "a feature is above validation.max_value"),
        "missing_id": (chosen.missing_id, "the id is missing"),
        "duplicate_id": (chosen.duplicate_id, "another row has the same id"),
        "missing_label": (chosen.missing_label, "the label is missing"),
        "unknown_label": (chosen.unknown_label, "the label is not one of the classes"),
        "shared_id": (chosen.shared_id, "a training row has the same id"),
        "copied_test_row": (chosen.copied_test_row, "a training row has the same features"),
        "nearly_copied_test_row": (
            chosen.nearly_copied_test_row,
            "a training row has the same features to five digits",
        ),
        "conflicting_labels": (
            chosen.conflicting_labels,
            "another row with the same features has another label",
        ),
    }
    own = {
        own_name(number): (
            expectation.on_failure,
            f"validation.expectations[{number}]: {expectation.expectation}",
        )
        for number, expectation in enumerate(spec.expectations)
    }
    return {
        name: reason
        for name, (policy, reason) in {**reasons, **own}.items()
        if policy == "quarantine"
    }


def own_name(number: int) -> str:
    """Name of an expectation of the recipe, by its number there."""
    return f"expectations[{number}]"
