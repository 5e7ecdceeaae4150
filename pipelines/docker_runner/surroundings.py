"""What the containers of a run are given: environment variables, folders, and a network.

Folders are mounted where they are on this machine, so that paths mean the same inside.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.registration.promotion.actor import ACTOR, actor
from components.registration.store import Store, locate
from components.shared import urls
from components.shared.recipe import BundleTeacher, Recipe
from components.shared.recipe.inputs import files_of
from components.shared.recipe.teacher import EndpointTeacher, OnnxTeacher, shares
from components.shared.storage.cache_settings import FOLDER_VARIABLE, cache_folder
from components.shared.storage.uris import is_s3, local_path
from pipelines.outside_models import model_folders

_PREFIXES = ("AWS_", "MLFLOW_", "KUBEDISTILL_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_FILES = (
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "KUBECONFIG",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
"""Variables that name a file, which the containers may read."""
_OF_THE_USER = {
    "AWS_CONFIG_FILE": ".aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/credentials",
}
"""Files that are read where the variable is not set; a container has another home."""
_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL")
_LOCK = "KUBEDISTILL_LOCK"
_LOCK_IN_FOLDER = "file:"
_METRICS_FILE = "KUBEDISTILL_METRICS_FILE"
_LOOPBACK = ("localhost", "::1")


@dataclass(frozen=True)
class Surroundings:
    """What the containers of a run are given."""

    environment: Mapping[str, str]
    """Credentials included: not to be logged."""
    read_only: tuple[Path, ...]
    """Files and folders of this machine; none of them is among the writable ones."""
    writable: tuple[Path, ...]
    network: str
    """As ``docker run --network`` names it."""


def surroundings_of(
    recipe: Recipe, network: str | None = None, environment: Mapping[str, str] = os.environ
) -> Surroundings:
    """What a run of this recipe needs; folders to write to are made.

    Args:
        recipe: what to run; paths in it are absolute.
        network: as the user chose; null for the least that the run can do with.
        environment: of this process.

    Raises:
        UserError: the tracking URI names no store, the endpoint of S3 is no URL, or there is no
            place for copies of objects.
    """
    store = locate(environment.get("MLFLOW_TRACKING_URI", ""))
    chosen = network or least_network(recipe, store, environment)
    variables = _variables(recipe, store, environment)
    read_only = {local_path(uri) for uri in _inputs(recipe) if _is_local(uri)}
    if chosen != "none":
        for name, file in _OF_THE_USER.items():
            if name not in variables and (Path.home() / file).exists():
                variables[name] = str(Path.home() / file)
    read_only |= {Path(variables[name]) for name in _FILES if variables.get(name)}
    writable = set(_places(recipe, store, variables))
    for folder in writable:
        folder.mkdir(parents=True, exist_ok=True)
    return Surroundings(
        environment=variables,
        # What is not there is for the step to say, which knows what it is for.
        read_only=tuple(sorted(path for path in read_only - writable if path.exists())),
        writable=tuple(sorted(writable)),
        network=chosen,
    )


def least_network(recipe: Recipe, store: Store, environment: Mapping[str, str]) -> str:
    """``none`` where everything is on this machine's disks; ``host`` where something listens on its
    loopback only, which no container reaches otherwise; else ``bridge``.

    Raises:
        UserError: the endpoint of S3 is no URL.
    """
    uris = [uri for uri in (recipe.storage, *_inputs(recipe)) if is_s3(uri)]
    servers = [("the tracking URI", store.uri)] if store.database is None else []
    servers += [("the URL of a webhook", hook.url) for hook in recipe.registry.webhooks]
    for _, teacher in shares(recipe.teacher):
        if isinstance(teacher, EndpointTeacher):
            servers.append(("the URL of a teacher", teacher.url))
    if not uris and not servers and recipe.registry.kserve is None:
        return "none"
    servers += [(name, environment[name]) for name in _S3_ENDPOINTS if environment.get(name)]
    return "host" if any(_is_on_loopback(url, what) for what, url in servers) else "bridge"


def _is_on_loopback(url: str, what: str) -> bool:
    host = urls.split(url, what).hostname or ""
    return host in _LOOPBACK or host.startswith("127.")


def _is_local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


def _inputs(recipe: Recipe) -> Iterator[str]:
    yield recipe.data.uri
    yield from files_of(recipe.data.input)
    for _, teacher in shares(recipe.teacher):
        if isinstance(teacher, BundleTeacher | OnnxTeacher):
            yield teacher.uri
    yield from model_folders(recipe)


def _places(recipe: Recipe, store: Store, variables: Mapping[str, str]) -> Iterator[Path]:
    """Folders that steps write to, beside their outputs."""
    yield Path(variables[FOLDER_VARIABLE])
    if recipe.storage and _is_local(recipe.storage):
        yield local_path(recipe.storage)
    if store.database is not None:
        yield store.database.parent
    if variables.get(_LOCK, "").startswith(_LOCK_IN_FOLDER):
        yield Path(variables[_LOCK].removeprefix(_LOCK_IN_FOLDER))
    elif store.database is None:
        yield Path(variables["XDG_STATE_HOME"], "kubedistill", "locks")
    if file := variables.get(_METRICS_FILE):
        yield Path(file).parent


def _variables(recipe: Recipe, store: Store, environment: Mapping[str, str]) -> dict[str, str]:
    names = {*_PROXIES, *_FILES, *_secrets(recipe)}
    taken = {
        name: value
        for name, value in environment.items()
        if name in names or name.startswith(_PREFIXES)
    }
    lock = taken.get(_LOCK, "")
    if lock.startswith(_LOCK_IN_FOLDER):
        folder = Path(lock.removeprefix(_LOCK_IN_FOLDER)).expanduser().resolve()
        taken[_LOCK] = f"{_LOCK_IN_FOLDER}{folder}"
    for name in (*_FILES, _METRICS_FILE):
        if taken.get(name):
            taken[name] = str(Path(taken[name]).absolute())
    state = Path(environment.get("XDG_STATE_HOME", ""))
    return {
        **taken,
        "MLFLOW_TRACKING_URI": store.uri,
        FOLDER_VARIABLE: str(cache_folder().absolute()),
        # Of the user, so that those who run processes and those who run containers keep each other
        # out, and are recorded under one name.
        "XDG_STATE_HOME": str(state if state.is_absolute() else Path.home() / ".local" / "state"),
        ACTOR: actor(environment),
    }


def _secrets(recipe: Recipe) -> Iterator[str]:
    """Variables that the recipe names."""
    for hook in recipe.registry.webhooks:
        yield hook.secret_env
    for _, teacher in shares(recipe.teacher):
        if isinstance(teacher, EndpointTeacher) and teacher.token_env:
            yield teacher.token_env
