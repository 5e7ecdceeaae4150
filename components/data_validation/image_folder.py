"""A folder of images sorted into class folders, written out as Parquet."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from components.data_validation.locations import writable
from components.shared.errors import UserError
from components.shared.images_codec import MODES, is_deep
from components.shared.recipe import DataSpec, ImageInput
from components.shared.storage.local import reported

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_BATCH = 512


def write_images(root: Path, spec: DataSpec, image: ImageInput, path: Path) -> None:
    """Decode, resize and write all images below ``root`` as one Parquet file.

    The id is the path relative to ``root``, the label the name of the class folder, the image a
    flat list of bytes in the order channels, height, width.

    Raises:
        UserError: there are no class folders, one of them is empty, a file cannot be decoded, or
            the name of one is not UTF-8; the disk is full.
        StorageFailed: the disk is broken.
    """
    if image.size[0] not in MODES:
        raise UserError(
            f"data.input.size: {image.size[0]} channels; images from files have 1 (grey) or 3 (RGB)"
        )
    values = int(np.prod(image.size))
    schema = pa.schema(
        {
            spec.id: pa.string(),
            image.column: pa.list_(pa.uint8(), values),
            spec.label: pa.string(),
        }
    )
    files = image_files(root)
    with (
        reported(path, "writing"),
        pq.ParquetWriter(path, schema, compression="zstd") as writer,
        ThreadPoolExecutor() as pool,
    ):
        for start in range(0, len(files), _BATCH):
            batch = files[start : start + _BATCH]
            pixels = np.stack(list(pool.map(lambda file: _decode(file, image), batch)))
            names = [file.relative_to(root).as_posix() for file in batch]
            images = pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), values)
            labels = [name.split("/", 1)[0] for name in names]
            writer.write_table(pa.table([pa.array(names), images, pa.array(labels)], schema=schema))


def image_files(root: Path) -> list[Path]:
    """All images, class by class, in an order that does not depend on the file system.

    Raises:
        UserError: there are no class folders, one of them is empty, or a name is not UTF-8.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir() and _visible(path))
    if not folders:
        raise UserError(
            f"{root}: holds neither Parquet files (*.parquet) nor folders of images, one for each "
            "class"
        )
    files: list[Path] = []
    for folder in folders:
        found = sorted(_images(folder))
        for path in (folder, *found):
            writable(str(path))
        if not found:
            raise UserError(
                f"{folder}: this class folder holds no image ({', '.join(sorted(SUFFIXES))}); add "
                "images or remove the folder"
            )
        files += found
    return files


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in SUFFIXES and _visible(path) and path.is_file():
            yield path


def _visible(path: Path) -> bool:
    """Not what macOS and notebooks leave behind."""
    return not path.name.startswith((".", "__"))


def _decode(path: Path, spec: ImageInput) -> np.ndarray:
    """One image as uint8, shape (channels, height, width), rotated as its EXIF data say."""
    channels, height, width = spec.size
    try:
        with Image.open(path) as image:
            if is_deep(image):
                raise UserError(
                    f"{path}: has more than 8 bits a channel; convert it, or store the values as "
                    "lists of numbers in Parquet"
                )
            upright = ImageOps.exif_transpose(image).convert(MODES[channels])
            resized = upright.resize((width, height), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: this image cannot be decoded ({error})") from error
    pixels = np.asarray(resized, dtype=np.uint8).reshape(height, width, channels)
    return pixels.transpose(2, 0, 1)
