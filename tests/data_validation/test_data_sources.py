"""Which files are taken, and which are refused."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.data_validation.locations import data_files
from components.data_validation.resolve import resolve
from components.shared.dataset import SPLITS, Dataset
from components.shared.errors import UserError
from components.shared.storage import open_storage
from tests.disks import small_disk, without_rights

PICTURES = {"kind": "image", "column": "image", "size": [3, 4, 6]}


@pytest.fixture
def pictures(tmp_path):
    """Images of two sizes in the class folders cat and dog; cats are red, dogs are blue."""
    for name, colour in {"cat": (255, 0, 0), "dog": (0, 0, 255)}.items():
        for index in range(10):
            path = tmp_path / "pictures" / name / "more" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12 + index, 8), colour).save(path)
    return tmp_path / "pictures"


def test_digits_become_parquet_with_images_of_64_values(tmp_path, spec):
    size = {"kind": "image", "column": "image", "size": [1, 8, 8]}
    split = {"by": "random", "labelled": 100, "unlabelled": 900, "test": 797}
    manifest = resolve(spec("builtin://digits", input=size, split=split), tmp_path / "dataset")

    assert manifest.rows == {"labelled": 100, "unlabelled": 900, "test": 797}
    assert manifest.classes == [str(digit) for digit in range(10)]
    test = Dataset.open(tmp_path / "dataset").load("test")
    assert test.inputs.shape == (797, 1, 8, 8)
    assert (test.inputs.min(), test.inputs.max()) == (0, 16)
    assert test.ids[0].startswith("digits-")


@pytest.mark.parametrize(
    ("name", "columns", "classes"),
    [
        ("breast_cancer", ["mean radius", "worst area"], ["benign", "malignant"]),
        ("wine", ["alcohol", "od280/od315_of_diluted_wines"], ["class_0", "class_1", "class_2"]),
    ],
)
def test_builtin_tables_keep_their_column_names(tmp_path, spec, name, columns, classes):
    features = {"kind": "tabular", "columns": columns}
    manifest = resolve(spec(f"builtin://{name}", input=features), tmp_path / "dataset")

    assert manifest.classes == classes
    assert Dataset.open(tmp_path / "dataset").load("labelled").inputs.shape[1] == 2


def test_parquet_of_the_user_stays_where_it_is(tmp_path, spec, write, columns):
    path = write(columns)
    manifest = resolve(spec(path), tmp_path / "dataset")

    assert [shard.path for shard in manifest.shards] == [str(path)]
    assert not list((tmp_path / "dataset").glob("data*"))


def test_folder_of_parquet_files_is_read_in_the_order_of_names(tmp_path, spec, write, columns):
    halves = {
        "folder/b.parquet": {name: values[30:] for name, values in columns.items()},
        "folder/a.parquet": {name: values[:30] for name, values in columns.items()},
    }
    for name, half in halves.items():
        write(half, name)
    (tmp_path / "folder" / "_metadata.parquet").write_text("not data")
    resolve(spec(tmp_path / "folder"), tmp_path / "dataset")

    assert Dataset.open(tmp_path / "dataset").table()["id"].to_pylist() == columns["id"]


def test_class_folders_become_labels_and_images_are_resized(tmp_path, spec, pictures):
    (pictures / ".cache").mkdir()
    manifest = resolve(spec(pictures, input=PICTURES), tmp_path / "dataset")

    assert manifest.classes == ["cat", "dog"]
    loaded = Dataset.open(tmp_path / "dataset").load("labelled")
    assert loaded.inputs.shape[1:] == (3, 4, 6)
    for row_id, label, image in zip(loaded.ids, loaded.labels, loaded.inputs, strict=True):
        assert row_id.startswith(f"{manifest.classes[label]}/more/")
        red, green, blue = image.mean(axis=(1, 2))
        assert (red, green, blue) == ((255, 0, 0) if label == 0 else (0, 0, 255))


def test_encoded_images_in_parquet_are_read(tmp_path, spec, write, columns, pictures):
    encoded = (pictures / "cat" / "more" / "0.png").read_bytes()
    path = write({**columns, "image": [encoded] * 60})
    size = {"kind": "image", "column": "image", "size": [3, 8, 12]}
    resolve(spec(path, input=size), tmp_path / "dataset")

    images = Dataset.open(tmp_path / "dataset").load("test").inputs
    np.testing.assert_array_equal(images[:, 0], 255)


@pytest.mark.parametrize(
    ("change", "fields", "message"),
    [
        ({"id": [0.5] * 60}, {}, "the id column 'id' is of type double"),
        ({"a": ["1"] * 60}, {}, "the feature column 'a' is of type string, but should hold num"),
        (
            {"label": [0.5] * 60},
            {},
            "data.parquet: row 0: the label column 'label' has the value 0.5",
        ),
        ({"label": ["x"] * 60}, {}, "has only the class 'x'"),
        ({"label": [None] * 60}, {}, "has no label at all"),
        ({}, {"id": "ids"}, "no column 'ids', which data uses as id; did you mean 'id'?"),
        ({}, {"input": PICTURES}, "there is no column 'image'"),
        ({"image": ["x"] * 60}, {"input": PICTURES}, "the image column 'image' is of type string"),
        ({}, {"split": {"by": "column"}}, "there is no column 'split'"),
    ],
)
def test_unfit_columns_are_named(tmp_path, spec, write, columns, change, fields, message):
    with pytest.raises(UserError) as refusal:
        resolve(spec(write({**columns, **change}), **fields), tmp_path / "dataset")

    assert message in str(refusal.value)
    assert not (tmp_path / "dataset").exists()


def test_unknown_builtin_names_the_nearest(tmp_path, spec):
    with pytest.raises(UserError, match="did you mean 'builtin://digits'"):
        resolve(spec("builtin://digit"), tmp_path / "dataset")


def test_missing_file_names_the_nearest(tmp_path, spec, write, columns):
    write(columns)
    with pytest.raises(UserError, match=r"no file or folder .*dat.parquet; did you mean 'data.pa"):
        resolve(spec(tmp_path / "dat.parquet"), tmp_path / "dataset")


def test_unknown_scheme_is_refused(tmp_path, spec):
    with pytest.raises(UserError, match="gs:// is not supported"):
        resolve(spec("gs://bucket/data"), tmp_path / "dataset")


@pytest.mark.parametrize("content", [b"", b"id,a,b\n1,2,3\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_file_that_is_not_parquet_is_refused(tmp_path, spec, content):
    path = tmp_path / "data.parquet"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"data.parquet: (this is not a Parquet|cannot be read)"):
        resolve(spec(path), tmp_path / "dataset")


def test_damaged_pages_are_a_clear_error(tmp_path, spec, write, columns):
    path = write(columns)
    content = bytearray(path.read_bytes())
    content[104:164] = b"\xff" * 60
    path.write_bytes(content)
    with pytest.raises(UserError, match="this Parquet file is damaged"):
        resolve(spec(path), tmp_path / "dataset")


def test_file_without_rows_is_refused(tmp_path, spec, write, columns):
    with pytest.raises(UserError, match="there are no rows in it"):
        resolve(spec(write({name: [] for name in columns})), tmp_path / "dataset")


def test_folder_without_data_is_refused(tmp_path, spec):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no Parquet file"):
        resolve(spec(tmp_path / "empty"), tmp_path / "dataset")
    with pytest.raises(UserError, match=r"neither Parquet files .* nor folders of images"):
        resolve(spec(tmp_path / "empty", input=PICTURES), tmp_path / "dataset")


def test_shards_of_different_types_are_refused(tmp_path, spec, write, columns):
    write(columns, "folder/a.parquet")
    write({**columns, "label": [1, 2, 3] * 20}, "folder/b.parquet")
    with pytest.raises(UserError, match="a column differs in type between its files"):
        resolve(spec(tmp_path / "folder"), tmp_path / "dataset")


def test_class_folder_without_an_image_is_named(tmp_path, spec, pictures):
    (pictures / "eel").mkdir()
    with pytest.raises(UserError, match="eel: this class folder holds no image"):
        resolve(spec(pictures, input=PICTURES), tmp_path / "dataset")


def test_image_that_cannot_be_decoded_is_named(tmp_path, spec, pictures):
    (pictures / "cat" / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cat/broken.png: this image cannot be decoded"):
        resolve(spec(pictures, input=PICTURES), tmp_path / "dataset")


@pytest.mark.parametrize(
    ("name", "content"),
    [("broken.ppm", b"P6\n8 8\n70000\n"), ("broken.pgm", b"P5\n8 eight\n255\n")],
)
def test_image_that_pillow_calls_a_wrong_value_is_named(tmp_path, spec, pictures, name, content):
    (pictures / "cat" / name).write_bytes(content)
    with pytest.raises(UserError, match=f"cat/{name}: this image cannot be decoded"):
        resolve(spec(pictures, input=PICTURES), tmp_path / "dataset")


@pytest.mark.parametrize("place", ["cat/\udcfc.png", "\udcfc/1.png"])
def test_name_of_an_image_that_is_not_utf8_is_refused(tmp_path, spec, pictures, place):
    (pictures / place).parent.mkdir(exist_ok=True)
    (pictures / place).write_bytes(b"no image")
    with pytest.raises(UserError, match="the name of this file is not UTF-8; rename it"):
        resolve(spec(pictures, input=PICTURES), tmp_path / "dataset")


def test_place_that_may_not_be_looked_for_is_named(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0)
    try:
        with without_rights(tmp_path), pytest.raises(UserError) as error:
            data_files(str(closed / "data.parquet"), "data.uri")
    finally:
        closed.chmod(0o755)
    assert f"data.uri: {closed / 'data.parquet'} cannot be looked for (Permis" in str(error.value)


TEXTS = {"kind": "text", "column": "t", "tokenizer": {"kind": "hash"}, "length": 64}


@pytest.mark.parametrize(
    ("file", "given"),
    [
        ("tokens-00000.parquet", {"input": TEXTS}),
        ("assignment.parquet", {}),
        (
            "data.parquet",
            {"uri": "builtin://digits", "input": {"kind": "image", "size": [1, 8, 8]}},
        ),
        ("data.parquet", {"input": PICTURES}),
    ],
    ids=["tokens", "assignment", "built-in", "images"],
)
def test_full_disk_is_named_with_the_file(tmp_path, spec, write, columns, pictures, file, given):
    texts = [" ".join(f"{row}-{word}" for word in range(64)) for row in range(60)]
    place = pictures if given.get("input") == PICTURES else write({**columns, "t": texts})
    with small_disk(tmp_path / "disk", "4k") as disk:
        (disk / "full").write_bytes(b"\0" * 4096)
        with pytest.raises(UserError, match=f"{file}: writing failed .*; the disk is full"):
            resolve(spec(**{"uri": place, **given}), disk / "dataset")


def test_image_with_more_than_8_bits_is_refused_rather_than_clipped(tmp_path, spec, pictures):
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(pictures / "cat" / "deep.png")
    with pytest.raises(UserError, match=r"deep.png: has more than 8 bits"):
        resolve(spec(pictures, input=PICTURES), tmp_path / "dataset")


def test_folder_of_images_cannot_have_a_split_column(tmp_path, spec, pictures):
    with pytest.raises(UserError, match="a folder of images has no split column"):
        resolve(spec(pictures, input=PICTURES, split={"by": "column"}), tmp_path / "dataset")


def test_dictionary_encoded_labels_are_text(tmp_path, spec, columns):
    table = pa.table({**columns, "label": pa.array(columns["label"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "data.parquet")
    manifest = resolve(spec(tmp_path / "data.parquet"), tmp_path / "dataset")

    assert manifest.classes == ["x", "y", "z"]
    assert set(Dataset.open(tmp_path / "dataset").load("labelled").labels) == {0, 1, 2}


@pytest.fixture
def uploaded(write, columns, s3_root):
    """Three files, whose folders sort otherwise by their characters: the local folder, and a copy
    of it in S3."""
    names = ["a/2.parquet", "a/1.parquet", "a-b/3.parquet"]
    for number, name in enumerate(names):
        rows = slice(20 * number, 20 * (number + 1))
        path = write({key: values[rows] for key, values in columns.items()}, f"folder/{name}")
        open_storage(s3_root).upload(name, path)
    for name in ("a/_metadata.parquet", "a/.hidden.parquet", "notes.txt"):
        open_storage(s3_root).write(name, b"not data")
    return path.parents[1], s3_root


def test_folder_in_s3_is_the_same_data_set_as_a_local_one(tmp_path, spec, uploaded):
    folder, uri = uploaded
    local = resolve(spec(folder), tmp_path / "local")
    remote = resolve(spec(uri), tmp_path / "remote")

    assert remote.digest == local.digest
    assert [shard.path for shard in remote.shards] == [
        f"{uri}/{name}" for name in ("a/1.parquet", "a/2.parquet", "a-b/3.parquet")
    ]
    expected = Dataset.open(tmp_path / "local").load(*SPLITS)
    found = Dataset.open(tmp_path / "remote").load(*SPLITS)
    assert found.ids == expected.ids
    assert (found.inputs == expected.inputs).all()
    assert (found.splits == expected.splits).all()


def test_single_object_in_s3_is_a_data_set(tmp_path, spec, write, columns, s3_root):
    path = write(columns)
    open_storage(s3_root).upload("rows/data.parquet", path)
    remote = resolve(spec(f"{s3_root}/rows/data.parquet"), tmp_path / "remote")
    assert remote.digest == resolve(spec(path), tmp_path / "local").digest


def test_object_that_is_replaced_or_removed_after_resolving_is_named(tmp_path, spec, uploaded):
    _, uri = uploaded
    resolve(spec(uri), tmp_path / "dataset")
    storage = open_storage(uri)
    storage.write("a/2.parquet", storage.read("a/1.parquet"))
    with pytest.raises(UserError, match=f"{uri}/a/2.parquet: the content changed after"):
        Dataset.open(tmp_path / "dataset").load("test")
    storage.delete("a/2.parquet")
    with pytest.raises(UserError, match=f"{uri}/a/2.parquet: this shard of {uri} is gone"):
        Dataset.open(tmp_path / "dataset").load("test")


def test_faults_of_rows_in_s3_name_the_object_and_the_row(tmp_path, spec, columns, write, s3_root):
    path = write({**columns, "label": [1.0] * 7 + [0.5] * 53})
    open_storage(s3_root).upload("data.parquet", path)
    with pytest.raises(UserError, match=f"{s3_root}/data.parquet: row 7: .* has the value 0.5"):
        resolve(spec(s3_root), tmp_path / "dataset")


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([], "data.uri: there is nothing at s3://"),
        (["cat/1.png"], "there is no Parquet file .*; images in S3 have to be described in Parq"),
        (["data.parquet"], "data.parquet: this is not a Parquet file"),
    ],
    ids=["nothing", "images", "damaged"],
)
def test_prefix_without_data_is_refused(tmp_path, spec, s3_root, objects, message):
    for name in objects:
        open_storage(s3_root).write(name, b"no Parquet, but long enough to look for a footer")
    with pytest.raises(UserError, match=message):
        resolve(spec(s3_root, input=PICTURES), tmp_path / "dataset")


@pytest.mark.parametrize("where", ["local", "s3"])
def test_files_of_a_writer_that_is_not_done_and_logs_of_tables_are_no_data(
    tmp_path, spec, write, columns, request, where
):
    path = write(columns, "data/part.parquet")
    hidden = ["_temporary/0/part.parquet", "_delta_log/1.checkpoint.parquet", ".old/part.parquet"]
    for name in hidden:
        write(columns, f"data/{name}")
    uri = path.parent
    if where == "s3":
        uri = request.getfixturevalue("s3_root")
        for name in ["part.parquet", *hidden]:
            open_storage(uri).upload(name, tmp_path / "data" / name)
    manifest = resolve(spec(uri), tmp_path / "dataset")
    assert [shard.path for shard in manifest.shards] == [f"{uri}/part.parquet"]


def test_data_below_a_hidden_folder_are_data(tmp_path, spec, write, columns):
    path = write(columns, ".cache/_mine/part.parquet")
    manifest = resolve(spec(path.parent), tmp_path / "dataset")
    assert [shard.path for shard in manifest.shards] == [str(path)]


def test_keys_with_any_character_are_found_again(tmp_path, spec, write, columns, s3_root):
    folder = "a b+c%20ü#?&=~"
    path = write(columns, f"{folder}/x/d + %2F ä.parquet")
    open_storage(f"{s3_root}/{folder}").upload("x/d + %2F ä.parquet", path)
    manifest = resolve(spec(f"{s3_root}/{folder}/"), tmp_path / "remote")
    assert [s.path for s in manifest.shards] == [f"{s3_root}/{folder}/x/d + %2F ä.parquet"]
    local = resolve(spec(path.parents[1]), tmp_path / "local")
    assert manifest.digest == local.digest
    assert Dataset.open(tmp_path / "remote").load("test").ids


def not_utf8(values):
    """The same as Arrow text, but for the eighth, which has the bytes of another encoding."""
    data = pa.array([b"\xfcber" if row == 7 else v.encode() for row, v in enumerate(values)])
    return pa.StringArray.from_buffers(len(data), *data.buffers()[1:])


@pytest.mark.parametrize("encode", [pa.array, lambda text: text.dictionary_encode()])
@pytest.mark.parametrize("column", ["id", "label", "place"])
def test_text_that_is_not_utf8_is_refused(tmp_path, spec, write, columns, column, encode):
    texts = {**columns, "place": ["here", "there"] * 30}
    path = write({**texts, column: encode(not_utf8(texts[column]))})
    with pytest.raises(UserError, match=f"data.parquet: row 7: .*{column!r} .* not UTF-8"):
        resolve(spec(path, slices=["place"]), tmp_path / "dataset")


def test_name_of_a_file_that_is_not_utf8_is_refused(tmp_path, spec, write, columns):
    path = write(columns, "data/1.parquet")
    path.rename(path.with_name(os.fsdecode(b"\xfc.parquet")))
    with pytest.raises(UserError, match="the name of this file is not UTF-8"):
        resolve(spec(path.parent), tmp_path / "dataset")
