"""Objects larger than memory should be: what a process needs does not grow with them."""

import subprocess
import sys

from tests.servers.s3 import S3Service

WORK = """
import hashlib, re, sys
from pathlib import Path
from components.shared.storage import join, local_copy, open_storage

def peak():
    # getrusage would begin with the peak of the process that this one is a fork of.
    return int(re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

root, file = sys.argv[1], Path(sys.argv[2])
storage = open_storage(root)
storage.write("small", bytes(2**20))
storage.read("small")
before = peak()
storage.upload("object", file)
print(peak() - before)
hashed = hashlib.sha256()
with storage.open("object") as opened:
    while piece := opened.read(2**20):
        hashed.update(piece)
print(peak() - before)
with local_copy(join(root, "object"), hashed.hexdigest(), file.stat().st_size) as copy:
    assert copy.stat().st_size == file.stat().st_size
print(peak() - before)
"""


def test_memory_does_not_hold_a_large_object(service: S3Service, tmp_path):
    file = tmp_path / "file"
    with file.open("wb") as opened:
        for number in range(200):
            opened.write(number.to_bytes(2) * 2**19)

    command = [sys.executable, "-c", WORK, f"{service.server.uri}/memory", file]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)

    more = [int(line) for line in done.stdout.split()]
    print(f"MiB more than for small objects: {more}")
    assert max(more) < 100
