"""One engine and one build of all images for the session."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.image_references import name_of
from pipelines.images.building import BUILDS, build
from tests.containers.base_image import PYTHON, TORCH, make_bases
from tests.containers.engine import Engine, engine_of_this_machine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with engine_of_this_machine() as found:
        yield found


@pytest.fixture(scope="session")
def images(engine: Engine) -> Mapping[str, str]:
    """The images, built from this checkout on bases made on the spot; by their short names."""
    make_bases(engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.host)
        patch.setenv("DOCKER_BUILDKIT", "0")  # what every engine has
        bases = [TORCH if one.torch else PYTHON for one in BUILDS]
        options = ("--network=host", "--quiet")
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda one, base: build(ROOT, one, base, options), BUILDS, bases))
    return {name_of(one.image): one.image for one in BUILDS}
