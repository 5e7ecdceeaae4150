"""Real data that installed packages ship, where tests need more than the built-in sets."""

import ast
import csv
import gzip
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pyarrow as pa
import sklearn.datasets

_TITANIC = "tests/data/openml/id_40945/data-v1-dl-16826755.arff.gz"


@cache
def titanic() -> pa.Table:
    """The 1,309 passengers of the Titanic (OpenML 40945): numbers, categories, missing values.

    Columns: passenger, pclass (1 to 3), sex, age (263 missing), sibsp, parch, fare (1 missing),
    embarked (2 missing), cabin (mostly missing), and survived, which is 0 or 1.
    """
    path = Path(sklearn.datasets.__file__).parent / _TITANIC
    with gzip.open(path, "rt") as file:
        head, _, body = file.read().partition("@data\n")
    names = [line.split("'")[1] for line in head.splitlines() if line.startswith("@attribute")]
    rows = [
        [None if value == "?" else value for value in row]
        for row in csv.reader(body.splitlines(), escapechar="\\")
    ]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    numbers = {
        name: pa.array([None if value is None else float(value) for value in columns[name]])
        for name in ("age", "fare")
    }
    whole = {
        name: pa.array([int(value) for value in columns[name]])
        for name in ("pclass", "sibsp", "parch", "survived")
    }
    text = {name: pa.array(columns[name], pa.string()) for name in ("sex", "embarked", "cabin")}
    names_of_rows = [f"passenger-{row:04d}" for row in range(len(rows))]
    return pa.table({"passenger": names_of_rows, **whole, **numbers, **text})


@cache
def docstrings(*packages: str, most: int = 600) -> pa.Table:
    """Docstrings of packages of the standard library, or of installed ones: id, text, package.

    Args:
        packages: their names.
        most: of each package.
    """
    found = [
        (f"{package}-{number:04d}", text, package)
        for package in packages
        for number, text in zip(range(most), _docstrings_of(package), strict=False)
    ]
    ids, texts, labels = zip(*found, strict=True)
    return pa.table({"id": ids, "text": texts, "package": labels})


def _docstrings_of(package: str) -> Iterator[str]:
    seen = set()
    for root in ("stdlib", "purelib", "platlib"):
        for file in sorted(Path(sysconfig.get_path(root), package).rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    text = ast.get_docstring(node)
                    if text and text not in seen:
                        seen.add(text)
                        yield text
