"""Building the images: ``python -m pipelines.images.building``, or ``make images``.

Which Docker engine builds them is for Docker's own environment to say.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from components.shared import images
from components.shared.errors import UserError
from pipelines.image_references import name_of


@dataclass(frozen=True)
class Build:
    """How an image is built, from the root of the repository."""

    image: str
    """Its full name."""
    dockerfile: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    torch: bool = False
    """Whether its base brings PyTorch."""


BUILDS = (
    Build(images.DATA_VALIDATION, "components/data_validation/Dockerfile"),
    Build(images.SOFT_LABELS, "components/soft_labels/Dockerfile", torch=True),
    Build(
        images.SOFT_LABELS_MLFLOW,
        "components/soft_labels/Dockerfile",
        {"IMAGE": "soft-labels-mlflow", "LOCK": "requirements-mlflow.lock"},
        torch=True,
    ),
    Build(images.TRAINING, "components/training/Dockerfile", torch=True),
    Build(images.COMPRESSION, "components/compression/Dockerfile", torch=True),
    Build(images.EVALUATION, "components/evaluation/Dockerfile"),
    Build(images.REGISTRATION, "components/registration/Dockerfile"),
    Build(images.CLI, "pipelines/Dockerfile"),
)


def build(root: Path, one: Build, base: str | None, options: Sequence[str] = ()) -> None:
    """Build an image under its own name.

    Args:
        root: folder of the repository.
        one: which.
        base: its base image; null for the Dockerfile's own.
        options: further options of ``docker build``.

    Raises:
        UserError: Docker is not installed, or the build failed; it has said why by then.
    """
    arguments = {**one.arguments, **({"BASE": base} if base else {})}
    given = [part for name in arguments for part in ("--build-arg", f"{name}={arguments[name]}")]
    command = ["docker", "build", *options, *given, "--file", one.dockerfile, "--tag", one.image]
    try:
        subprocess.run([*command, "."], cwd=root, check=True)
    except FileNotFoundError as error:
        raise UserError("docker is not installed here") from error
    except subprocess.CalledProcessError as error:
        raise UserError(f"{one.image} was not built") from error


def main(
    torch_base: Annotated[
        str, typer.Option(metavar="IMAGE", help="With Python 3.11 and PyTorch, best by digest.")
    ] = "",
    base: Annotated[
        str, typer.Option(metavar="IMAGE", help="With Python 3.11, for all others.")
    ] = "",
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Such as training.")
    ] = None,
) -> None:
    """Build the images of all steps, and of kubedistill itself."""
    names = [name_of(one.image) for one in BUILDS]
    wanted = [one for one in BUILDS if not only or name_of(one.image) in only]
    try:
        if unknown := set(only or ()) - set(names):
            raise UserError(f"--only: {', '.join(unknown)}: should be of {', '.join(names)}")
        if not torch_base and any(one.torch for one in wanted):
            raise UserError(
                "--torch-base is missing: an image with Python 3.11 and PyTorch, such as a runtime "
                "image of PyTorch's own with the CUDA that your nodes have"
            )
        for one in wanted:
            build(Path(__file__).parents[2], one, torch_base if one.torch else base)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    typer.run(main)
