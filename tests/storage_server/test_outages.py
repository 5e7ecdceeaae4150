"""The server is killed and started again while objects are read and written: nothing is lost,
nothing is mixed up, and the outage is reported once."""

import os
import re
import subprocess
import sys
import threading

import pytest

from components.shared.errors import StorageFailed
from components.shared.events import parse_event
from components.shared.files import sha256_bytes
from components.shared.storage import join, local_copy, open_storage
from components.shared.storage.patience import PATIENCE_VARIABLE
from tests.servers.s3 import S3Service

PIECE = 2**20
CONTENT = os.urandom(40 * PIECE)


def restart(service: S3Service) -> None:
    service.kill()
    service.start()


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    parsed = [parse_event(line) for line in capsys.readouterr().out.splitlines()]
    return [event["event"] for event in parsed if event]


def test_reading_goes_on_where_the_outage_found_it(service, capsys):
    storage = open_storage(f"{service.server.uri}/reading")
    storage.write("object", CONTENT)
    with storage.open("object") as file:
        found = file.read(5 * PIECE)
        service.kill()
        back = threading.Timer(3, service.start)
        back.start()
        found += file.read()
    back.join()

    assert found == CONTENT
    assert events(capsys) == ["storage_outage", "storage_back"]


def test_every_operation_waits_for_the_server(service):
    storage = open_storage(f"{service.server.uri}/operations")
    storage.write("there", b"content")
    storage.write("old", b"content")
    results = {}
    work = {
        "read": lambda: storage.read("there"),
        "size": lambda: storage.size("there"),
        "missing": lambda: storage.size("missing"),
        "list": lambda: [entry.name for entry in storage.list("there")],
        "write": lambda: storage.write("written", b"1"),
        "large": lambda: storage.write("large", CONTENT),
        "create": lambda: storage.create("created", b"1"),
        "exists": lambda: storage.create("there", b"2"),
        "delete": lambda: storage.delete("old"),
    }
    service.kill()
    threads = [
        threading.Thread(target=lambda name=name, do=do: results.update({name: do()}))
        for name, do in work.items()
    ]
    for thread in threads:
        thread.start()
    service.start()
    for thread in threads:
        thread.join()

    assert results == {
        "read": b"content",
        "size": 7,
        "missing": None,
        "list": ["there"],
        "write": None,
        "large": None,
        "create": True,
        "exists": False,
        "delete": None,
    }
    assert storage.read("large") == CONTENT
    assert storage.read("there") == b"content"
    assert not storage.exists("old")


WRITER = """
import sys
from components.shared.storage import open_storage
storage = open_storage(sys.argv[1])
for number in range(400):
    storage.write(f"object-{number:03}", f"content of {number}".encode() * 2000)
    print(number, flush=True)
"""


def test_objects_written_through_two_outages_are_all_there_and_whole(service):
    root = f"{service.server.uri}/writing"
    command = [sys.executable, "-c", WRITER, root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        for line in writer.stdout:
            if line.strip() in {"50", "200"}:
                restart(service)
    assert writer.returncode == 0

    storage = open_storage(root)
    assert [entry.name for entry in storage.list()] == [f"object-{n:03}" for n in range(400)]
    for number in (0, 50, 51, 52, 199, 200, 201, 202, 399):
        content = f"content of {number}".encode() * 2000
        assert storage.read(f"object-{number:03}") == content


def test_large_upload_goes_on_after_an_outage(service, tmp_path):
    storage = open_storage(f"{service.server.uri}/upload")
    storage.write("warm", b"")
    (tmp_path / "file").write_bytes(CONTENT)
    client, seen = service.server.client, False
    for _ in range(5):  # an upload may have ended before it was seen
        uploading = threading.Thread(target=storage.upload, args=("object", tmp_path / "file"))
        uploading.start()
        while uploading.is_alive() and not seen:
            seen = "Uploads" in client.list_multipart_uploads(Bucket="mlflow")
        if seen:
            break
    restart(service)
    uploading.join()

    assert seen
    assert storage.read("object") == CONTENT
    assert service.server.unfinished_parts() == 0


def test_local_copy_is_whole_after_an_outage(service):
    root = f"{service.server.uri}/copy"
    open_storage(root).write("object", CONTENT)
    back = threading.Timer(2, service.start)
    service.kill()
    back.start()
    with local_copy(join(root, "object"), sha256_bytes(CONTENT), len(CONTENT)) as path:
        assert path.read_bytes() == CONTENT
    back.join()


def test_outage_that_lasts_too_long_fails_with_what_was_tried(service, monkeypatch, capsys):
    root = f"{service.server.uri}/lasting"
    storage = open_storage(root)
    storage.write("object", b"content")
    monkeypatch.setenv(PATIENCE_VARIABLE, "2")
    service.kill()
    try:
        with pytest.raises(StorageFailed) as error:
            storage.read("object")
        with pytest.raises(StorageFailed):
            storage.write("object", CONTENT)
    finally:
        service.start()

    for part in (
        f"{root}/object: reading failed ",
        service.server.endpoint,
        "the last error: Could not connect",
        PATIENCE_VARIABLE,
    ):
        assert part in str(error.value)
    assert re.search(r" \d+ times in \d+ s at ", str(error.value))
    assert events(capsys)[:1] == ["storage_outage"]
    assert storage.read("object") == b"content"
    assert "storage_back" in events(capsys)
