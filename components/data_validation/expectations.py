"""Running checks with Great Expectations, and reading its verdict without its loopholes."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from components.data_validation.frame import Derived
from components.data_validation.outcome import CheckResult
from components.data_validation.suite import Check
from components.shared.files import digest_of

_SITE = "data_docs"
_POSITION = "position"


@dataclass(frozen=True)
class Suite:
    """Checks that look at the same data frame."""

    name: str
    frame: pd.DataFrame
    key: str
    """The column of ``frame`` that names an offending row in reports."""
    checks: Sequence[Check]


def run_suites(suites: Sequence[Suite], derived: Derived, docs: Path) -> list[CheckResult]:
    """Run all checks, and write Great Expectations' Data Docs into the folder ``docs``.

    Great Expectations calls an empty suite a success, and also a check that had no value to look
    at. Here both are failures, as is a check that raised an exception.
    """
    outcomes: list[CheckResult] = []
    context = _context(docs)
    for suite in suites:
        results = _run(context, suite)
        outcomes += [
            _outcome(check, results.get(position), derived)
            for position, check in enumerate(suite.checks)
        ] or [_nothing_checked(suite.name)]
    context.build_data_docs(site_names=[_SITE])
    return outcomes


def suite_hash(suites: Sequence[Suite]) -> str:
    """SHA-256 over every expectation and its limits."""
    return digest_of(
        [
            [
                suite.name,
                [check.expectation.configuration.to_json_dict() for check in suite.checks],
            ]
            for suite in suites
        ]
    )


def _context(docs: Path) -> EphemeralDataContext:
    """A context in memory that knows the documentation site in ``docs``."""
    site = {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(docs.resolve()),
        },
    }
    config = DataContextConfig(
        data_docs_sites={_SITE: site},
        progress_bars=ProgressBarsConfig(globally=False),
        store_backend_defaults=InMemoryStoreBackendDefaults(),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _run(context: EphemeralDataContext, suite: Suite) -> dict[int, dict[str, Any]]:
    """Great Expectations' results by the position of their check."""
    expectations = []
    for position, check in enumerate(suite.checks):
        expectation = copy.deepcopy(check.expectation)
        expectation.meta = {_POSITION: position}
        expectation.notes = check.rule
        expectations.append(expectation)
    batch = (
        context.data_sources.add_pandas(suite.name)
        .add_dataframe_asset("data")
        .add_batch_definition_whole_dataframe("all")
    )
    validation = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=suite.name,
            data=batch,
            suite=context.suites.add(gx.ExpectationSuite(suite.name, expectations=expectations)),
        )
    )
    run = validation.run(
        batch_parameters={"dataframe": suite.frame},
        # COMPLETE would carry every offending value.
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": 5,
            "unexpected_index_column_names": [suite.key],
        },
    )
    return {
        result.expectation_config.meta[_POSITION]: result.to_json_dict() for result in run.results
    }


def _outcome(check: Check, result: dict[str, Any] | None, derived: Derived) -> CheckResult:
    """Judge one result; what is not clearly a success is a failure."""
    success = False
    observed = None
    if result is None:
        message = f"{check.rule}: Great Expectations gave no result"
    elif raised := _exception(result["exception_info"]):
        message = f"{check.rule}: could not be checked ({raised})"
    else:
        measured = result["result"]
        observed = measured.get("observed_value", measured.get("unexpected_count"))
        if "element_count" in measured and not _looked_at(result):
            message = f"{check.rule}: there was no value to check"
        elif result["success"] is not True:
            message = f"{check.finding(derived, measured)}; {check.advice}"
        else:
            success, message = True, check.rule
    return CheckResult(
        expectation=check.expectation.expectation_type,
        column=check.column,
        success=success,
        message=message,
        observed=observed if isinstance(observed, int | float | str | None) else str(observed),
    )


def _looked_at(result: dict[str, Any]) -> int:
    """How many values an expectation judged; missing ones only count where they are the point."""
    measured = result["result"]
    return int(measured["element_count"]) - int(measured.get("missing_count") or 0)


def _exception(info: dict[str, Any]) -> str | None:
    """The first line of what was raised: ``info`` is flat, or keyed by metric."""
    for entry in (info, *info.values()):
        if isinstance(entry, dict) and entry.get("raised_exception"):
            return str(entry.get("exception_message") or "an exception").splitlines()[0]
    return None


def _nothing_checked(suite: str) -> CheckResult:
    return CheckResult(
        expectation="none",
        column=None,
        success=False,
        message=f"the suite {suite!r} has no expectations, so nothing was checked",
        observed=None,
    )
