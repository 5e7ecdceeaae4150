"""The table of methods has each of them, and no other."""

import re
from pathlib import Path

from components.shared.recipe.student import METHOD_NAMES

TABLE = Path(__file__).parents[2] / "components" / "training" / "METHODS.md"


def test_every_method_is_in_the_table_once_with_what_it_needs_its_source_and_when() -> None:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert sorted(row[0].strip("`") for row in rows) == sorted(METHOD_NAMES)
    for row in rows:
        assert len(row) == 5, row
        assert all(row), row
        assert re.search(r"arxiv\.org/abs/\d{4}\.\d{4,5}\)", row[3]), row
