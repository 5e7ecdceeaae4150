"""Checking a resolved data set, and refusing it with reasons."""

from pathlib import Path

from components.data_validation.expectations import Suite, run_suites, suite_hash
from components.data_validation.frame import derive
from components.data_validation.outcome import ValidationResult
from components.data_validation.suite import row_checks, schema_checks
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.files import new_directory, write_atomically
from components.shared.recipe import ValidationSpec


def validate(
    dataset_folder: Path, spec: ValidationSpec, result_path: Path, docs_folder: Path
) -> ValidationResult:
    """Run every expectation, write the result and the Data Docs, and refuse bad data.

    Args:
        dataset_folder: what :func:`components.data_validation.resolve.resolve` wrote.
        spec: the limits.
        result_path: where the :class:`ValidationResult` goes, as JSON.
        docs_folder: where the Data Docs go (start at ``index.html``).

    Raises:
        UserError: a check failed; result and docs are written all the same.
    """
    dataset = Dataset.open(dataset_folder)
    derived = derive(dataset)
    suites = [
        Suite("schema", derived.schema, "column", schema_checks(derived)),
        Suite("rows", derived.rows, "id", row_checks(derived, spec)),
    ]
    with new_directory(docs_folder) as docs:
        checks = run_suites(suites, derived, docs)
    result = ValidationResult(
        success=all(check.success for check in checks),
        dataset_digest=dataset.manifest.digest,
        suite_hash=suite_hash(suites),
        checks=checks,
    )
    write_atomically(result_path, result.model_dump_json(indent=2))
    if not result.success:
        raise UserError(_refusal(result, dataset.manifest.source))
    return result


def _refusal(result: ValidationResult, source: str) -> str:
    lines = "\n".join(f"  {check.message}" for check in result.failures)
    return (
        f"{source}: the data failed {len(result.failures)} of {len(result.checks)} checks:\n{lines}"
    )
