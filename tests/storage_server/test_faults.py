"""A fault of the connection at every call of every operation: the outcome is as without it."""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from components.shared.files import sha256_bytes
from components.shared.storage import Damaged, Storage, join, local_copy, open_storage
from components.shared.storage.s3_reading import FIRST_BLOCK
from components.shared.storage.s3_writing import PART
from tests.servers.fault_proxy import Fault, FaultProxy

BLOCKS = os.urandom(20 * FIRST_BLOCK)
PARTS = os.urandom(PART + 1)


class Operation(NamedTuple):
    do: Callable[[Storage], object]
    outcome: object
    left: Mapping[str, bytes] = MappingProxyType({})
    """Objects that are there afterwards, besides ``there`` and ``blocks``."""


def read_blocks(storage: Storage) -> bytes:
    with storage.open("blocks") as file:
        return file.read()


def copy_blocks(storage: Storage) -> bytes:
    with local_copy(join(storage.uri, "blocks"), sha256_bytes(BLOCKS), len(BLOCKS)) as path:
        content = path.read_bytes()
    path.unlink()
    return content


OPERATIONS = {
    "read": Operation(lambda storage: storage.read("there"), b"content"),
    "open": Operation(read_blocks, BLOCKS),
    "copy": Operation(copy_blocks, BLOCKS),
    "size": Operation(lambda storage: storage.size("there"), 7),
    "missing": Operation(lambda storage: storage.exists("new"), False),
    "list": Operation(lambda storage: len(list(storage.list())), 2),
    "write": Operation(lambda storage: storage.write("new", b"1"), None, {"new": b"1"}),
    "parts": Operation(lambda storage: storage.write("new", PARTS), None, {"new": PARTS}),
    "create": Operation(lambda storage: storage.create("new", b"1"), True, {"new": b"1"}),
    "keep": Operation(lambda storage: storage.create("there", b"1"), False),
    "delete": Operation(lambda storage: storage.delete("new"), None),
}


@pytest.fixture
def storage(proxy: FaultProxy, s3_root: str) -> Storage:
    storage = open_storage(s3_root)
    storage.write("there", b"content")
    storage.write("blocks", BLOCKS)
    return storage


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.ERROR, Fault.LOST, Fault.CUT])
@pytest.mark.parametrize("name", OPERATIONS)
def test_fault_at_any_call_does_not_change_the_outcome(storage, proxy, s3, name, fault):
    operation = OPERATIONS[name]
    at = 0
    while True:
        at += 1
        proxy.inject(fault, at=at)
        outcome = operation.do(storage)
        if not proxy.failed:
            break
        proxy.heal()
        assert outcome == operation.outcome
        left = {entry.name for entry in storage.list()}
        assert left == {"there", "blocks", *operation.left}
        for new, content in operation.left.items():
            assert storage.read(new) == content
            storage.delete(new)
    assert at > 1
    assert s3.unfinished_parts() == 0


def test_byte_that_is_flipped_on_its_way_is_read_again(storage, proxy):
    proxy.inject(Fault.FLIP, at=1)

    assert storage.read("there") == b"content"
    assert len(proxy.calls) == 2


def test_byte_that_is_flipped_on_its_way_is_an_error_to_who_reads_a_stream(storage, proxy):
    proxy.inject(Fault.FLIP, at=4)

    with pytest.raises(Damaged, match="blocks: the bytes do not match their checksum"):
        read_blocks(storage)


@pytest.mark.parametrize("at", [2, 3, 4])
def test_byte_that_is_flipped_on_its_way_is_not_in_a_copy(storage, proxy, at):
    proxy.inject(Fault.FLIP, at=at)

    assert copy_blocks(storage) == BLOCKS
    assert proxy.failed


def test_create_whose_answer_is_late_is_ours(storage, proxy, monkeypatch):
    monkeypatch.setattr("components.shared.storage.s3_client._READ_TIMEOUT_S", 0.5)
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "test")  # what is set makes a client of its own
    proxy.inject(Fault.SLOW, at=1)

    assert storage.create("new", b"1")
    proxy.wait_until_idle()
    assert not storage.create("new", b"2")
    assert storage.read("new") == b"1"
