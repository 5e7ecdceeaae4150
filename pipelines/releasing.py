"""Releasing: every component's YAML with the digests of the images that were built for it.

python -m pipelines.releasing IMAGES_JSON FOLDER
"""

import re
import sys
from pathlib import Path

from components.shared.errors import UserError
from components.shared.files import new_directory
from pipelines.compiling import compile_components, compile_shadow
from pipelines.image_references import load, pin

_IMAGE = re.compile(r"^(?P<indent> +image: )(?P<name>\S+)$", re.MULTILINE)


def write_release(references: Path, folder: Path) -> None:
    """Write the files of a release.

    Args:
        references: JSON with the reference of each image, by digest.
        folder: is made; gets one YAML file a component, the pipeline that compares a challenger
            with the champion, and ``images.json``, for ``--images``.

    Raises:
        UserError: an image has no reference, or one by tag.
    """
    pinned = load(references)
    texts = {path.name: text for path, text in compile_components().items()}
    texts["shadow.yaml"] = compile_shadow()
    with new_directory(folder) as temporary:
        for name, text in texts.items():
            by_digest = _IMAGE.sub(lambda found: found["indent"] + pin(found["name"], pinned), text)
            (temporary / name).write_text(by_digest, encoding="utf-8")
        (temporary / "images.json").write_bytes(references.read_bytes())


if __name__ == "__main__":
    try:
        write_release(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as error:
        sys.exit(f"error: {error}")
