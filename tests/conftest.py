"""Real data sets and models that tests of several folders share."""

from pathlib import Path

import pytest

from components.data_validation.resolve import resolve
from components.shared.recipe import Recipe, load_recipe
from tests.command_line import DIGITS, Ended, Workspace


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
    """A workspace in which one run has promoted a student."""
    workspace = Workspace(tmp_path_factory.mktemp("promoted"))
    ended = workspace.distil("first")
    assert ended.status == 0, ended.stderr
    return workspace, ended


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path)
