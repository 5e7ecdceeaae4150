import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.shared.files import digest_of, new_directory, write_atomically


def test_file_keeps_its_content_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, 3)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_folder_stays_absent_when_filling_it_fails(tmp_path: Path) -> None:
    def fill() -> None:
        with new_directory(tmp_path / "out") as folder:
            (folder / "a").write_text("half")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_folder_replaces_an_older_one_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale").write_text("x")
    with new_directory(out) as folder:
        (folder / "fresh").write_text("y")
    assert [p.name for p in out.iterdir()] == ["fresh"]


def test_killed_writer_leaves_no_folder_under_the_final_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from components.shared.files import new_directory\n"
        "with new_directory(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'a').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", code, str(out)], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()


def test_digest_ignores_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
