"""What the README says is there: commands, parts of recipes, targets, statuses, links."""

import re
import shlex
from typing import Any

import pytest
import typer
import yaml

from components.shared.recipe import Recipe, load_recipe
from pipelines.cli.ending import app
from pipelines.cli.exit_status import ExitStatus
from tests.command_line import DIGITS, ROOT

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("file", ["README.md", "pipelines/README.md", "manifests/README.md"])
def test_every_command_that_is_shown_is_one(file: str) -> None:
    shown = re.findall(r"^(?:\$ )?kubedistill (.+)$", (ROOT / file).read_text(), re.MULTILINE)
    assert shown
    for line in shown:
        command: Any = typer.main.get_command(app)
        arguments, name = shlex.split(line.partition(" > ")[0], comments=True), "kubedistill"
        while hasattr(command, "commands"):
            context = command.make_context(name, arguments)
            left = [*context._protected_args, *context.args]
            name, command, arguments = command.resolve_command(context, left)
        command.make_context(name, arguments)


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))
def test_parts_of_recipes_in_the_readme_are_valid(text: str) -> None:
    recipe = load_recipe(DIGITS).model_dump(mode="json", exclude_none=True)
    recipe["data"]["slices"] = ["pen"]
    for section, fields in yaml.safe_load(text).items():
        recipe[section] = recipe["gates"] | fields if section == "gates" else fields
    Recipe.model_validate(recipe)


def test_exit_statuses_in_the_readme_are_those_of_the_program() -> None:
    documented = {int(number) for number in re.findall(r"^\| (\d) \|", README, re.MULTILINE)}
    assert documented == set(ExitStatus) - {ExitStatus.INTERRUPTED}


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"make ([a-z0-9-]+)", README))
    makefile = (ROOT / "Makefile").read_text()
    assert {"demo", "test", "lint"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_in_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    for target in (link for link in links if "://" not in link):
        assert (ROOT / target).exists(), target
