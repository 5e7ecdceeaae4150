"""``kubedistill suite``: expectations that are inferred hold on the data that they are from."""

import yaml

from components.shared.recipe import load_recipe

RECIPE = """
name: wine
data:
  uri: builtin://wine
  input: {kind: tabular, columns: [alcohol, malic_acid]}
teacher: {source: train, model: {family: mlp}, training: {steps: 5}}
student: {model: {family: mlp}, training: {steps: 5}}
gates: {accuracy: {min: 0.5}}
registry: {model: wine}
"""


def test_an_inferred_suite_is_kept_and_holds_on_its_own_data(tmp_path, command):
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "wine.yaml").write_text(RECIPE)

    done = command(tmp_path, "suite", "recipes/wine.yaml", "--output", "suite.yaml")

    assert done.status == 0, done.stderr
    assert "suite: ../suite.yaml" in done.stderr
    listed = yaml.safe_load((tmp_path / "suite.yaml").read_text())
    assert {"alcohol", "malic_acid"} <= {entry["column"] for entry in listed}
    (recipes / "wine.yaml").write_text(RECIPE + "validation: {suite: ../suite.yaml}\n")
    loaded = load_recipe(recipes / "wine.yaml")
    assert len(loaded.validation.expectations) == len(listed)
    assert command(tmp_path, "validate", "recipes/wine.yaml").status == 0

    again = command(tmp_path, "suite", "recipes/wine.yaml", "--output", "suite.yaml")
    assert again.status == 2
    assert "exists already" in again.stderr
