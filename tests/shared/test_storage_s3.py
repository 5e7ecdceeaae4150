"""S3: what the user did wrong is said at once; a reader sees one version of an object; nothing is
left of an upload that failed."""

import os
import re
from collections.abc import Callable
from typing import BinaryIO

import pytest

from components.shared.errors import StorageFailed, UserError
from components.shared.files import sha256_bytes
from components.shared.storage import Damaged, Storage, join, local_copy, open_storage
from components.shared.storage.patience import PATIENCE_VARIABLE
from components.shared.storage.s3_bucket import Bucket
from components.shared.storage.s3_reading import FIRST_BLOCK
from components.shared.storage.s3_writing import PART, put_in_parts
from tests.servers.fault_proxy import Fault, fault_proxy
from tests.servers.processes import free_ports
from tests.servers.s3 import S3

Use = Callable[[Storage], object]
READ: list[Use] = [
    lambda storage: storage.read("there"),
    lambda storage: storage.open("there"),
    lambda storage: storage.size("there"),
    lambda storage: storage.exists("there"),
    lambda storage: list(storage.list()),
]
WRITE: list[Use] = [
    lambda storage: storage.write("new", b"1"),
    lambda storage: storage.write("new", bytes(PART + 1)),
    lambda storage: storage.create("new", b"1"),
    lambda storage: storage.delete("there"),
]


@pytest.fixture
def storage(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """With an object, and with patience enough for any test to fail that repeats a call."""
    monkeypatch.setenv(PATIENCE_VARIABLE, "3600")
    storage = open_storage(s3_root)
    storage.write("there", b"content")
    return storage


def refusals(storage: Storage, uses: list[Use]) -> set[str]:
    """What is said, without what all of it has."""
    said = set()
    for use in uses:
        with pytest.raises(UserError) as error:
            use(storage)
        start, _, rest = str(error.value).partition(": ")
        assert start in {join(storage.uri, name) for name in ("there", "new", "")}
        said.add(rest)
    return said


def use_account(account: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "AWS_SECRET_ACCESS_KEY",
            "wr0ng",
            r"\(SignatureDoesNotMatch.*check AWS_SECRET_ACCESS_KEY",
        ),
        ("AWS_ACCESS_KEY_ID", "nobody", r"refused \(InvalidAccessKeyId.*check AWS_ACCESS_KEY_ID"),
    ],
)
def test_wrong_credentials_are_said(storage, s3, monkeypatch, name, value, expected):
    monkeypatch.setenv(name, value)

    for said in refusals(storage, READ + WRITE):
        assert re.search(expected, said)
        assert f"credentials from env, endpoint {s3.endpoint}" in said
        assert s3.secret_key not in said
        assert "wr0ng" not in said


def test_without_credentials_what_is_needed_is_said(storage, s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    for said in refusals(storage, READ + WRITE):
        assert "needs credentials (no credentials, endpoint" in said
        assert "set AWS_ACCESS_KEY_ID" in said


def test_profile_that_is_not_there_is_named(storage, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "absent")

    with pytest.raises(UserError, match=r"S3 is not set up.*profile \(absent\)"):
        storage.read("there")


def test_credentials_and_endpoint_of_a_profile_are_used(storage, s3, monkeypatch, tmp_path):
    (tmp_path / "config").write_text(
        "[profile other]\n"
        f"aws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n"
        f"endpoint_url = {s3.endpoint}\ns3 =\n    addressing_style = path\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "other")

    assert storage.read("there") == b"content"


def test_missing_bucket_is_named_and_not_made(storage, s3):
    nowhere = open_storage("s3://misspelt/data")

    said = refusals(nowhere, READ + WRITE)

    assert said == {
        f"there is no bucket misspelt (credentials from env, endpoint {s3.endpoint}); "
        "make it, or correct its name"
    }
    assert [bucket["Name"] for bucket in s3.client.list_buckets()["Buckets"]] == [s3.bucket]


def test_who_may_only_read_is_told_what_was_refused(storage, s3, monkeypatch):
    use_account(s3.of_account("reader"), monkeypatch)

    for use in READ:
        use(storage)
    for said in refusals(storage, WRITE):
        assert re.match(r"(writing|deleting) was refused \(AccessDenied.*ask for the right", said)


def test_who_has_no_right_is_told_what_was_refused(storage, s3, monkeypatch):
    use_account(s3.of_account("stranger"), monkeypatch)

    for said in refusals(storage, READ + WRITE):
        assert re.match(
            r"(read|list|writ|delet)ing was refused \(AccessDenied.*ask for the right",
            said,
        )


def test_bucket_that_turns_read_only_is_an_error_and_stays_readable(storage, s3):
    s3.set_read_only(True)
    try:
        for said in refusals(storage, WRITE):
            assert "was refused (AccessDenied" in said
        assert storage.read("there") == b"content"
    finally:
        s3.set_read_only(False)
    storage.write("new", b"1")


def test_endpoint_that_never_answers_fails_sooner_than_an_outage(storage, monkeypatch):
    monkeypatch.setenv(PATIENCE_VARIABLE, "300")
    monkeypatch.setattr("components.shared.storage.patience.FIRST_CALL_PATIENCE_S", 1.0)
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)

    with pytest.raises(StorageFailed) as error:
        storage.read("there")

    where = rf"there: reading failed \d+ times in (\d+) s at {endpoint}; "
    said = re.search(where + ".*it never answered: check", str(error.value))
    assert said
    assert int(said[1]) < 200


@pytest.mark.parametrize("patience", ["soon", "-1", "inf", "nan"])
def test_patience_that_is_no_number_of_seconds_is_named(storage, monkeypatch, patience):
    monkeypatch.setenv(PATIENCE_VARIABLE, patience)

    with pytest.raises(UserError, match=f"{PATIENCE_VARIABLE}={patience}"):
        storage.read("there")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(Fault.FLIP, Damaged), (Fault.ERROR, StorageFailed), (Fault.CUT, StorageFailed)],
)
def test_object_that_never_matches_its_checksum_is_damaged_and_no_outage(
    storage, s3, monkeypatch, fault, expected
):
    monkeypatch.setenv(PATIENCE_VARIABLE, "0")
    with fault_proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.uri)
        proxy.inject(fault, at=1, lasting=True)
        with pytest.raises(StorageFailed, match="there: reading failed 1 times") as error:
            storage.read("there")

    assert error.type is expected


def test_object_that_does_not_match_its_checksum_twice_is_not_waited_for(storage, s3, monkeypatch):
    with fault_proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.uri)
        proxy.inject(Fault.FLIP, at=1, lasting=True)
        with pytest.raises(Damaged, match="there: "):
            storage.read("there")

        assert len(proxy.calls) == 2


@pytest.mark.parametrize("change", ["replace", "delete"])
def test_object_that_is_replaced_while_it_is_read_is_an_error_and_never_a_mixture(storage, change):
    size = 16 * FIRST_BLOCK
    storage.write("object", b"a" * size)
    with storage.open("object") as file:
        assert file.read(10) == b"a" * 10
        if change == "replace":
            storage.write("object", b"b" * size)
        else:
            storage.delete("object")
        with pytest.raises(UserError, match="object: this object was replaced or deleted while"):
            file.read()
        with pytest.raises(UserError, match="object: this object was replaced or deleted while"):
            reread(file, size - 10)


def reread(file: BinaryIO, position: int) -> bytes:
    file.seek(position)
    return file.read()


def test_upload_that_fails_leaves_no_part_and_the_old_object(storage, s3, s3_root, tmp_path):
    storage.write("object", b"old")
    key = f"{s3_root.removeprefix(s3.uri)[1:]}/object"

    def part_of(start: int, stop: int) -> bytes:
        if start > PART:
            raise OSError("the file has gone")
        return bytes(stop - start)

    with pytest.raises(OSError, match="has gone"):
        put_in_parts(Bucket(s3.bucket), key, 5 * PART, part_of)

    uploads = s3.client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", [])
    assert [upload for upload in uploads if upload["Key"] == key] == []
    assert storage.read("object") == b"old"


def test_server_that_does_not_know_checksums_gets_none(storage, s3, s3_root, monkeypatch):
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    content = os.urandom(PART + 1)

    storage.write("large", content)

    key = f"{s3_root.removeprefix(s3.uri)[1:]}/large"
    found = s3.client.head_object(Bucket=s3.bucket, Key=key, ChecksumMode="ENABLED")
    assert not [name for name in found if name.startswith("Checksum")]
    assert storage.read("large") == content


def test_listing_goes_over_pages(storage, monkeypatch):
    names = [f"many/{number:05}" for number in range(10)]
    for name in names:
        storage.write(name, b"")

    monkeypatch.setattr("components.shared.storage.s3.PAGE", 3)

    assert [entry.name for entry in storage.list("many/")] == names
    assert [entry.name for entry in storage.list()] == [*names, "there"]


def test_marks_of_folders_are_not_objects(storage, s3, s3_root):
    prefix = s3_root.removeprefix(s3.uri)[1:]
    s3.client.put_object(Bucket=s3.bucket, Key=f"{prefix}/folder/", Body=b"")

    assert [entry.name for entry in storage.list()] == ["there"]


def test_forked_process_reads_on_with_connections_of_its_own(storage):
    content = os.urandom(16 * FIRST_BLOCK)
    storage.write("object", content)
    with storage.open("object") as file:
        assert file.read(10) == content[:10]
        child = os.fork()
        if child == 0:
            same = file.read() == content[10:] and storage.read("there") == b"content"
            os._exit(0 if same else 1)
        assert file.read() == content[10:]

    assert os.waitpid(child, 0)[1] == 0


def test_local_copy_is_fetched_once_and_shared(storage, s3_root):
    uri, sha256 = join(s3_root, "there"), sha256_bytes(b"content")
    with local_copy(uri, sha256, 7) as first:
        assert first.read_bytes() == b"content"
    storage.delete("there")

    with local_copy(uri, sha256, 7) as second:
        assert (second, second.read_bytes()) == (first, b"content")


@pytest.mark.parametrize("content", [b"CONTENT", b"longer content", b""])
def test_local_copy_of_an_object_that_has_changed_is_refused(storage, s3_root, content):
    uri = join(s3_root, "there")
    storage.write("there", content)

    with (
        pytest.raises(UserError, match=f"{uri}: it changed"),
        local_copy(uri, sha256_bytes(b"content"), 7, changed="it changed"),
    ):
        pass


def test_local_copy_of_an_object_that_is_gone_is_refused(storage, s3_root):
    uri = join(s3_root, "missing")

    with (
        pytest.raises(UserError, match=f"{uri}: it is gone"),
        local_copy(uri, "0", 1, gone="it is gone"),
    ):
        pass
