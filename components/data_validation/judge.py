"""Great Expectations as the judge of data frames, and its pages."""

import copy
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationValidationResult
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.expectations.expectation import Expectation
from great_expectations.validator.v1_validator import Validator

from components.shared.storage.local import reported

_SITE = "data_docs"
_POSITION = "position"
Results = list[ExpectationValidationResult | None]


class Judge:
    """Judges frames; what is published goes to the pages."""

    def __init__(self, docs: Path) -> None:
        """Set up a context in memory.

        Args:
            docs: folder for the pages.
        """
        self._docs = docs
        self._context = _context(docs)
        self._run = RunIdentifier(run_time=datetime.datetime.now(datetime.UTC))

    def judge(
        self,
        name: str,
        frame: pd.DataFrame,
        expectations: Sequence[Expectation],
        format_: Literal["SUMMARY", "COMPLETE"] = "SUMMARY",
    ) -> Results:
        """One result for each expectation, in order; null where there is none.

        Args:
            name: of the frame; the same one may be used for several.
            frame: the data.
            expectations: what is expected of it.
            format_: ``COMPLETE`` has every offending value and its place, ``SUMMARY`` a few.
        """
        numbered = []
        for position, expectation in enumerate(expectations):
            twin = copy.deepcopy(expectation)
            twin.meta = {_POSITION: position}
            numbered.append(twin)
        validator = Validator(
            batch_definition=self._batch(name),
            batch_parameters={"dataframe": frame},
            result_format={"result_format": format_, "partial_unexpected_count": 5},
        )
        found = validator.validate_expectation_suite(
            gx.ExpectationSuite(name, expectations=numbered)
        )
        by_position = {
            result.expectation_config.meta[_POSITION]: result for result in found.results
        }
        return [by_position.get(position) for position in range(len(numbered))]

    def publish(self, name: str, results: Results, rules: Sequence[str]) -> None:
        """Put results onto the pages, as they are now.

        Args:
            name: of the suite.
            results: of all expectations.
            rules: each of these in words.
        """
        shown = []
        for result, rule in zip(results, rules, strict=True):
            if result is not None:
                result.expectation_config.notes = rule
                shown.append(result)
        successful = sum(bool(result.success) for result in shown)
        suite = ExpectationSuiteIdentifier(name=name)
        self._context.suites.add(
            gx.ExpectationSuite(
                name, expectations=[result.expectation_config.to_domain_obj() for result in shown]
            )
        )
        self._context.validation_results_store.store_validation_results(
            ExpectationSuiteValidationResult(
                success=successful == len(shown),
                results=shown,
                suite_name=name,
                statistics={
                    "evaluated_expectations": len(shown),
                    "successful_expectations": successful,
                    "unsuccessful_expectations": len(shown) - successful,
                    "success_percent": 100 * successful / max(len(shown), 1),
                },
                meta={
                    "great_expectations_version": gx.__version__,
                    "active_batch_definition": {"data_asset_name": name},
                    "run_id": self._run,
                    "validation_time": str(self._run.run_time),
                },
            ),
            ValidationResultIdentifier(
                batch_identifier=name, expectation_suite_identifier=suite, run_id=self._run
            ),
            suite,
        )

    def build_docs(self) -> None:
        """Write the pages.

        Raises:
            UserError: the disk is full.
            StorageFailed: it is broken.
        """
        with reported(self._docs, "writing"):
            self._context.build_data_docs(site_names=[_SITE])

    def _batch(self, name: str) -> BatchDefinition[Any]:
        sources = self._context.data_sources
        if name not in sources.all():
            asset = sources.add_pandas(name).add_dataframe_asset("data")
            return asset.add_batch_definition_whole_dataframe("all")
        return sources.all()[name].get_asset("data").get_batch_definition("all")


def exception_in(result: ExpectationValidationResult) -> tuple[str, str] | None:
    """Kind and first line of what was raised; the information is flat, or keyed by metric."""
    info = result.exception_info or {}
    for entry in (info, *info.values()):
        if isinstance(entry, dict) and entry.get("raised_exception"):
            message = str(entry.get("exception_message") or "an exception").splitlines()[0]
            return message.partition(":")[0], message
    return None


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
