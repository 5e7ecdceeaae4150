"""Checking a resolved data set, and refusing it with reasons."""

from pathlib import Path

from pydantic import BaseModel

from components.data_validation.coverage.distances import coverage
from components.data_validation.custom.columns import check_names
from components.data_validation.custom.own import OwnExpectations
from components.data_validation.drift.comparing import champion_profile
from components.data_validation.drift.profiling import profile_of
from components.data_validation.evidence import Evidence
from components.data_validation.quarantine.writing import write_checked, write_quarantine
from components.data_validation.scan.described import figures
from components.data_validation.scan.gathering import scan_of
from components.data_validation.scan.memory import give_back
from components.shared.dataset import SPLITS, Dataset
from components.shared.errors import UserError
from components.shared.files import new_directory, write_atomically
from components.shared.recipe import ValidationSpec
from components.shared.results.profile import DATA_PROFILE
from components.shared.results.validation import QUARANTINE, VALIDATION, ValidationResult
from components.shared.storage.local import reported


def validate(
    dataset_folder: Path,
    spec: ValidationSpec,
    result_folder: Path,
    docs_folder: Path,
    *,
    checked: Path | None = None,
    champion: Path | None = None,
) -> ValidationResult:
    """Run every expectation, write the result and the Data Docs, and refuse bad data.

    Data are read in bounded memory: once, and again where rows are taken out. Great Expectations,
    which is large itself, is loaded after that (or before, for expectations of single rows in the
    recipe), and looks at small frames.

    Args:
        dataset_folder: what :func:`components.data_validation.resolve.resolve` wrote.
        spec: the limits, and what follows where they are broken.
        result_folder: where ``validation.json`` goes, ``data_profile.json``, and
            ``quarantine.parquet`` with the rows that are taken out, if there are any.
        docs_folder: where the Data Docs go (start at ``index.html``).
        checked: where the data set without the rows that are taken out goes, if it is wanted.
        champion: folder of the present champion, whose ``data_profile.json`` is compared with.

    Raises:
        UserError: a check failed; result and docs are written all the same, ``checked`` is not.
            The disk is full.
        StorageFailed: the data are out of reach, or the disk is broken.
    """
    manifest = Dataset.open(dataset_folder).manifest
    check_names(spec, manifest)
    before, note = champion_profile(champion)
    with new_directory(docs_folder) as docs, new_directory(result_folder) as folder:
        own = OwnExpectations(spec, docs)
        evidence = Evidence(scan_of(manifest, dataset_folder, spec, own), spec)
        taken = evidence.scan.taken
        if len(taken.positions):
            write_quarantine(manifest, dataset_folder, taken, folder / QUARANTINE)
        profile = profile_of(evidence)
        _write(folder / DATA_PROFILE, profile)
        covered = coverage(
            evidence.scan.training.values,
            evidence.scan.test.values,
            manifest.input,
            len(figures(manifest.input)),
        )
        give_back()
        from components.data_validation.verdict import judge_all

        verdict = judge_all(evidence, own, covered, before)
        result = ValidationResult(
            success=all(check.status != "failed" for check in verdict.checks),
            dataset_digest=manifest.digest,
            checked_digest=manifest.digest,
            suite_hash=verdict.suite_hash,
            checks=verdict.checks,
            rows={split: evidence.rows_in(split) for split in SPLITS},
            quarantined=len(taken.positions),
            notes=[*([] if note is None else [note]), *verdict.notes],
        )
        if result.success and checked is not None:
            written = write_checked(dataset_folder, taken, checked, spec.sensitive)
            result = result.model_copy(update={"checked_digest": written.digest})
        _write(folder / VALIDATION, result)
    if not result.success:
        raise UserError(_refusal(result, manifest.source))
    return result


def _write(path: Path, record: BaseModel) -> None:
    with reported(path, "writing"):
        write_atomically(path, record.model_dump_json(indent=2))


def _refusal(result: ValidationResult, source: str) -> str:
    lines = "\n".join(f"  {check.message}" for check in result.failures)
    return (
        f"{source}: the data failed {len(result.failures)} of {len(result.checks)} checks:\n{lines}"
    )
