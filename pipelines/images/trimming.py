"""Takes out of an environment what wheels bring along and no step imports: tests, headers, parts.

Run while an image is built, where nothing but Python is there:
``python3 trimming.py SITE_PACKAGES [PATTERN…]``, with what one image needs less than others.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

TESTS = ("**/tests", "onnx/backend/test")
HEADERS = ("**/*.pxd", "**/*.pyx", "numpy/_core/include", "numpy/_core/lib/*.a", "pyarrow/include")
PARTS = (
    "pyarrow/*flight*",  # remote procedures of Arrow
    "sqlalchemy/testing",
)
AWS = ("s3", "sts", "sso", "sso-oidc")
"""Services whose descriptions stay: S3, and the ways to credentials."""


def trim(site_packages: Path, more: Sequence[str] = ()) -> None:
    """Remove what no step imports, from the folder and from the lists of files that wheels keep.

    Args:
        site_packages: the folder.
        more: further patterns of files and folders in it.
    """
    for path in _superfluous(site_packages, more):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for record in site_packages.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if (site_packages / line.rsplit(",", 2)[0]).exists()]
        record.write_text("".join(kept), encoding="utf-8")


def _superfluous(site_packages: Path, more: Sequence[str]) -> Iterator[Path]:
    for pattern in (*TESTS, *HEADERS, *PARTS, *more):
        yield from list(site_packages.glob(pattern))
    for service in list(site_packages.glob("botocore/data/*/")):
        if service.name not in AWS:
            yield service


if __name__ == "__main__":
    trim(Path(sys.argv[1]), sys.argv[2:])
