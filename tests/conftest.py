"""Real data sets and models that tests of several folders share."""

from pathlib import Path

import pytest

from components.data_validation.resolve import resolve
from components.shared.recipe import Recipe, load_recipe

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "pipelines" / "recipes" / "digits.yaml"


@pytest.fixture(scope="session")
def digits_recipe() -> Recipe:
    return load_recipe(DIGITS)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory, digits_recipe: Recipe) -> Path:
    """The digits data set, resolved."""
    folder = tmp_path_factory.mktemp("digits") / "dataset"
    resolve(digits_recipe.data, folder)
    return folder
