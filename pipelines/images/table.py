"""The table of image sizes: ``python -m pipelines.images.table --torch-base IMAGE --base IMAGE``.

Sizes are of images that are there already, uncompressed, above their base.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from components.shared.files import write_atomically
from pipelines.image_references import name_of
from pipelines.images.building import BUILDS, Build

TABLE = Path("components/IMAGES.md")
"""Where the table is kept, in the repository."""
MB = 10**6
_SHOWN = 4
_ROW = re.compile(r"^\| `([a-z-]+)` \| (\d+) \|", re.MULTILINE)
_PARTS = """
import json, os
found = {}
for top, tops in (("/opt/venv/lib/python3.11/site-packages", None), ("/app", "kubedistill")):
    for folder, _, files in os.walk(top):
        name = tops or os.path.relpath(folder, top).split(os.sep)[0].split("-")[0]
        size = sum(os.lstat(os.path.join(folder, file)).st_size for file in files)
        found[name] = found.get(name, 0) + size
print(json.dumps(found))
"""


def read_sizes(root: Path) -> dict[str, int]:
    """Bytes above the base, by image, as the table has them."""
    text = (root / TABLE).read_text(encoding="utf-8")
    return {name: int(size) * MB for name, size in _ROW.findall(text)}


def row(one: Build, base: str) -> str:
    """The line of an image."""
    above = _inspect(one.image)["Size"] - _inspect(base)["Size"]
    parts: dict[str, int] = json.loads(
        _docker("run", "--rm", "--network=none", "--entrypoint=python3", one.image, "-c", _PARTS)
    )
    largest = sorted(parts, key=lambda name: -parts[name])[:_SHOWN]
    shown = ", ".join(f"{name} {parts[name] / MB:.0f}" for name in largest)
    kind = "Python and PyTorch" if one.torch else "Python"
    return f"| `{name_of(one.image)}` | {above / MB:.0f} | {shown} | {kind} |"


def main(torch_base: Annotated[str, typer.Option()], base: Annotated[str, typer.Option()]) -> None:
    """Put the sizes of the images that are here into the table."""
    path = Path(__file__).parents[2] / TABLE
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition("|---|---|---|---|\n")
    rows = [row(one, torch_base if one.torch else base) for one in BUILDS]
    after = rest[rest.index("\n\n") :] if "\n\n" in rest else "\n"
    write_atomically(path, f"{head}|---|---|---|---|\n" + "\n".join(rows) + after)


def _inspect(image: str) -> Any:
    return json.loads(_docker("image", "inspect", image))[0]


def _docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments],  # noqa: S607
        capture_output=True,
        check=True,
        text=True,
    ).stdout


if __name__ == "__main__":
    typer.run(main)
