"""What a comparison on fresh rows needs of the registry: any version's files, and a place for what
was found."""

import shutil
import tempfile
from pathlib import Path

from mlflow.tracking import MlflowClient

from components.registration import tags
from components.registration.champion import download, version_record
from components.registration.client import existing
from components.registration.promotion.evidence import registered_version
from components.shared.errors import UserError
from components.shared.files import sha256_file, write_atomically
from components.shared.records import read_record
from components.shared.results import (
    CHAMPION_RECORD,
    COMPARISON,
    COMPARISON_PAGE,
    ChampionRecord,
    Comparison,
)

_FOLDER = "shadow"


def fetch_version(client: MlflowClient, model: str, version: str, folder: Path) -> ChampionRecord:
    """Fetch a version's deployable into ``folder``, with what is known of it.

    Args:
        client: of the store.
        model: name of the registered model.
        version: its number, or an alias.
        folder: where ``model.onnx``, ``deployable.json`` and ``champion.json`` go.

    Raises:
        UserError: there is no such model, version or alias, or its files cannot be used.
    """
    found = registered_version(client, model, _number(client, model, version))
    download(client, model, str(found.version), folder)
    record = version_record(found)
    write_atomically(folder / CHAMPION_RECORD, record.model_dump_json(indent=2))
    return record


def attach(client: MlflowClient, comparison: Path, page: Path) -> str | None:
    """Keep a comparison with the challenger that it is about.

    Both files go to the challenger's MLflow run, in a folder named by time and content, so that a
    retry overwrites what it wrote; then the version's tag says in a line what was found.

    Args:
        client: of the store.
        comparison: JSON, as compare_challenger wrote it.
        page: the same as HTML.

    Returns:
        The folder in the run; null where the version has no run any more, and only the tag is set.

    Raises:
        UserError: there is no such version, or its file is not the one that was compared.
    """
    compared = read_record(comparison, Comparison, "comparison")
    number = compared.challenger.version
    version = registered_version(client, compared.model, number)
    if version.tags.get(tags.STUDENT_DIGEST) != compared.challenger.model_digest:
        raise UserError(
            f"{comparison}: is about another file than version {number} of {compared.model!r} has "
            f"registered (SHA-256 {compared.challenger.model_digest[:12]})"
        )
    folder = None
    if version.run_id and existing(lambda: client.get_run(version.run_id)):
        folder = f"{_FOLDER}/{compared.created:%Y%m%dT%H%M%SZ}-{sha256_file(comparison)[:8]}"
        with tempfile.TemporaryDirectory() as name:
            # KFP's artifacts have no file name extension, and MLflow shows files by theirs.
            shutil.copyfile(comparison, Path(name) / COMPARISON)
            shutil.copyfile(page, Path(name) / COMPARISON_PAGE)
            client.log_artifacts(version.run_id, name, folder)
    client.set_model_version_tag(compared.model, number, tags.SHADOW, in_a_line(compared))
    return folder


def in_a_line(comparison: Comparison) -> str:
    """What the tag says."""
    return (
        f"{comparison.recommendation} ({comparison.created:%Y-%m-%d %H:%M} UTC, against version "
        f"{comparison.champion.version}): {comparison.summary}"
    )


def _number(client: MlflowClient, model: str, version: str) -> str:
    """The number of a version that is named by number or alias."""
    found = existing(lambda: client.get_registered_model(model))
    if found is None:
        known = ", ".join(sorted(other.name for other in client.search_registered_models()))
        raise UserError(f"there is no registered model {model!r}; there is {known or 'none yet'}")
    if version.isdecimal():
        return version
    if version not in found.aliases:
        aliases = ", ".join(sorted(found.aliases)) or "none"
        raise UserError(
            f"{model!r} has no version with the alias {version!r} (it has the aliases: {aliases}); "
            "name the number of a version"
        )
    return str(found.aliases[version])
