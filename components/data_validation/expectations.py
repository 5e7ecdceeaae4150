"""Running checks with Great Expectations, and reading its verdict without its loopholes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from components.data_validation.evidence import Evidence
from components.data_validation.judge import Judge, exception_in
from components.data_validation.suite import Check
from components.shared.files import digest_of
from components.shared.results.validation import CheckResult, status_of


def run_checks(
    judge: Judge, frames: Mapping[str, pd.DataFrame], checks: Sequence[Check], evidence: Evidence
) -> list[CheckResult]:
    """Run all checks, and put their results onto the judge's pages.

    Great Expectations calls an empty suite a success, and also a check that had no value to look
    at. Here both are failures, whatever the policy, as is a check that raised an exception, or a
    verdict that is not what the counts say.

    Args:
        judge: Great Expectations.
        frames: by name; each has to have a check.
        checks: what is expected of them.
        evidence: what the frames were made from.
    """
    outcomes = []
    for name, frame in frames.items():
        mine = [check for check in checks if check.frame == name]
        if not mine:
            outcomes.append(nothing_checked(name))
            continue
        results = judge.judge(name, frame, [check.expectation for check in mine])
        for check, result in zip(mine, results, strict=True):
            outcomes.append(_outcome(check, result, evidence))
            if result is not None:
                _fit_to_the_data(check, result.result, evidence)
        judge.publish(name, results, [check.rule for check in mine])
    return outcomes


def suite_hash(checks: Sequence[Check], further: Any = None) -> str:
    """SHA-256 over every expectation with its limits and policy, and over ``further`` ones."""
    return digest_of(
        [
            [
                [check.frame, check.policy, check.expectation.configuration.to_json_dict()]
                for check in checks
            ],
            further,
        ]
    )


def nothing_checked(suite: str) -> CheckResult:
    """What an empty suite comes to."""
    return CheckResult(
        name="none",
        expectation="none",
        column=None,
        status="failed",
        message=f"the suite {suite!r} has no expectations, so nothing was checked",
        observed=None,
    )


def _outcome(check: Check, result: Any, evidence: Evidence) -> CheckResult:
    """Judge one result; what is not clearly a success is a failure."""
    rows = None if check.fault is None else evidence.tally(check.fault).rows
    observed: Any = rows
    status, message = "failed", check.rule
    if result is None:
        message = f"{check.rule}: Great Expectations gave no result"
    elif raised := exception_in(result):
        message = f"{check.rule}: could not be checked ({raised[1]})"
    else:
        measured = result.result
        if check.looked_at is None:
            observed = measured.get("observed_value", measured.get("unexpected_count"))
        counted = None if check.looked_at is None else rows
        if not _saw_something(measured):
            message = f"{check.rule}: there was no value to check"
        elif counted is not None and (counted == 0) is not result.success:
            message = f"{check.rule}: Great Expectations and the count of {counted} rows disagree"
        elif result.success is True:
            status = "passed"
        else:
            status = status_of(check.policy)
            message = f"{check.finding(evidence)}; {check.advice}"
    return CheckResult(
        name=check.name,
        expectation=check.expectation.expectation_type,
        column=check.column,
        status=status,
        message=message,
        observed=observed if isinstance(observed, int | float | str | None) else str(observed),
    )


def _saw_something(measured: dict[str, Any]) -> bool:
    """Whether a value was judged; missing ones only count where they are the point."""
    if "element_count" in measured:
        return int(measured["element_count"]) > int(measured.get("missing_count") or 0)
    if measured.keys() != {"observed_value"}:  # of sets, for which there is always a verdict
        return bool(measured)
    observed = measured["observed_value"]
    return observed is not None and not (isinstance(observed, float) and math.isnan(observed))


def _fit_to_the_data(check: Check, measured: dict[str, Any], evidence: Evidence) -> None:
    """Let the pages say how many rows there are, not how many witnesses."""
    if check.looked_at is None or check.fault is None or "element_count" not in measured:
        return
    rows = evidence.tally(check.fault).rows
    total = check.looked_at(evidence) + (rows if check.policy == "quarantine" else 0)
    share = 100 * rows / max(total, 1)
    figures = {"element_count": total, "unexpected_count": rows, "missing_count": 0}
    shares = dict.fromkeys(
        ("unexpected_percent", "unexpected_percent_total", "unexpected_percent_nonmissing"), share
    )
    for name, value in {**figures, **shares, "missing_percent": 0.0}.items():
        if name in measured:
            measured[name] = value
