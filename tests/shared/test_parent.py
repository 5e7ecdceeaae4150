"""What a process gets when the one that started it is killed."""

import subprocess
import sys
import time

import pytest

_CHILD = """
import signal, sys, time
from components.shared import parent
end = time.monotonic() + 60
def on_sigterm(*_):
    global end
    print("SIGTERM", flush=True)
    end = time.monotonic() + 1  # enough for a second one
signal.signal(signal.SIGTERM, on_sigterm)
assert parent.terminate_at_its_end(int(sys.argv[1]))
print("ready", flush=True)
while time.monotonic() < end:
    time.sleep(0.1)
"""
_PARENT = """
import os, subprocess, sys, threading, time
for _ in range(32):
    threading.Thread(target=time.sleep, args=[60], daemon=True).start()
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_one_sigterm_comes_though_the_parent_had_many_threads() -> None:
    command = [sys.executable, "-c", _PARENT, _CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "ready\n"
        time.sleep(0.1)
        parent.kill()
        assert parent.stdout.read() == "SIGTERM\n"
