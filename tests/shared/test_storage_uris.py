"""URIs, taken apart and put together."""

from pathlib import Path

import pytest

from components.shared.errors import UserError
from components.shared.storage import join, local_path, open_storage, split
from components.shared.storage.uris import s3_location


@pytest.mark.parametrize(
    ("root", "name", "uri"),
    [
        ("s3://bucket", "a", "s3://bucket/a"),
        ("s3://bucket/x/y", "a?b#c%20", "s3://bucket/x/y/a?b#c%20"),
        ("/folder/x", "a.parquet", "/folder/x/a.parquet"),
        ("folder", "a", "folder/a"),
    ],
)
def test_root_and_name_make_a_uri_and_come_out_of_it(root, name, uri):
    assert join(root, name) == uri
    assert join(f"{root}/", name) == uri
    assert split(uri) == (root, name)


def test_names_are_joined_below_each_other():
    assert join("s3://bucket/x", "a", "b") == "s3://bucket/x/a/b"
    assert join("", "a", "b") == "a/b"
    assert join("/", "a") == "/a"


def test_file_in_the_working_folder_has_that_as_its_root():
    assert split("a.parquet") == (".", "a.parquet")
    assert split("file:///x/a%20b") == ("/x", "a b")


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "s3://bucket/x/", "/x/", "/"])
def test_folder_is_no_object(uri):
    with pytest.raises(UserError, match="names a folder, not a file"):
        split(uri)


def test_bucket_and_prefix():
    assert s3_location("s3://bucket") == ("bucket", "")
    assert s3_location("s3://bucket/x/y/") == ("bucket", "x/y")
    for uri in ("s3://", "s3:///x"):
        with pytest.raises(UserError, match="no bucket"):
            open_storage(uri)


def test_local_path_is_a_path_or_a_file_uri():
    assert local_path("x/a?b#c%20") == Path("x/a?b#c%20")
    assert local_path("file:///x/a%20b") == Path("/x/a b")
    assert local_path("file://localhost/x") == Path("/x")


@pytest.mark.parametrize("uri", ["gs://bucket/x", "https://host/x", "file://host/x", "file:x://"])
def test_other_schemes_are_refused(uri):
    with pytest.raises(UserError, match="not supported here|write file:///"):
        open_storage(uri)


@pytest.mark.parametrize("uri", ["s3://bucket//x", "s3://bucket/a//x", "s3://bucket/a//"])
def test_slashes_that_follow_each_other_are_refused(uri: str) -> None:
    """They would be lost, and the URI name another object."""
    with pytest.raises(UserError, match="has // in its key"):
        s3_location(uri)
