"""Real data sets and models that tests of several folders share."""

import builtins
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from components.data_validation.resolve import resolve
from components.shared.recipe import Recipe, load_recipe
from tests.command_line import DIGITS, Done, Ended, Workspace, run_here

pytest_plugins = ["tests.servers.fixtures"]

# On shared machines time says nothing; and what fails for one must fail for everybody.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file go to one worker; those that share a workspace too, in their order.

    Those come first, so that no worker is left alone with them at the end.
    """
    items.sort(key=lambda item: not _share_a_workspace(item))
    for item in items:
        group = "promoted" if _share_a_workspace(item) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


def _share_a_workspace(item: pytest.Item) -> bool:
    return "promoted" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def print_as_before() -> Iterator[None]:
    """KFP's local runner replaces it, with one that indents, and leaves that in place."""
    printing = builtins.print
    yield
    builtins.print = printing


@pytest.fixture
def torch_as_before() -> Iterator[None]:
    """What a test sets of torch's threads and repeatability is gone after it."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def one_thread(torch_as_before: None) -> None:
    """Torch computes on one thread, and so adds numbers in the same order every time."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits_recipe() -> Recipe:
    return load_recipe(DIGITS)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory, digits_recipe: Recipe) -> Path:
    """The digits data set, resolved."""
    folder = tmp_path_factory.mktemp("digits") / "dataset"
    resolve(digits_recipe.data, folder)
    return folder


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Ended]:
    """A workspace in which one run has promoted a student; later tests may run more there."""
    workspace = Workspace(tmp_path_factory.mktemp("promoted"))
    ended = workspace.distil("first")
    assert ended.status == 0, ended.stderr
    shutil.copyfile(workspace.database, workspace.database_after_the_first_run)
    return workspace, ended


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path)


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs ``kubedistill`` with the given arguments in a folder."""

    def run(folder: Path, *arguments: str | Path) -> Done:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # and so put back as it was
        return run_here(monkeypatch, capsys, *arguments)

    return run
