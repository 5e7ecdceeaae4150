"""A disk that fills up while labels are written."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.shared.soft_labels import MANIFEST
from tests.data_faults.labelling_data import label, prepare


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB; skips loudly where the tests may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"NOT TESTED: a full disk, since none can be mounted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S607


def test_full_disk_is_a_clear_error_and_labelling_goes_on_once_there_is_space(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = prepare(tmp_path / "prepared", rows=10_000, file_rows=10_000)
    label(prepared, tmp_path / "undisturbed", shard_rows=1_000)
    store = small_disk / "store"
    with pytest.raises(SystemExit) as ended:
        label(prepared, store, shard_rows=1_000)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "part-0000" in said
    whole = content(store)
    assert 0 < len(whole) < 10
    assert MANIFEST not in whole
    subprocess.run(
        ["mount", "-o", "remount,size=10m", str(small_disk)],  # noqa: S607
        check=True,
    )
    label(prepared, store, shard_rows=1_000)
    assert whole.items() <= content(store).items()
    assert content(store) == content(tmp_path / "undisturbed")


def content(folder: Path) -> dict[str, bytes]:
    """Files by name; a hidden one was not written to its end."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}
