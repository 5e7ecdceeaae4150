"""What a resolved data set is identified by."""

import json
import shutil

import pytest
from PIL import Image

from components.data_validation.resolve import resolve
from components.shared.dataset import Dataset
from components.shared.errors import UserError


def test_digest_does_not_depend_on_where_the_file_lies(tmp_path, spec, write, columns):
    path = write(columns)
    first = resolve(spec(path), tmp_path / "first")
    moved = shutil.copy(path, tmp_path / "moved.parquet")
    assert resolve(spec(moved), tmp_path / "second").digest == first.digest


def test_digest_changes_with_every_part_of_the_meaning(tmp_path, spec, write, columns):
    path = write(columns)
    changed = write({**columns, "a": [0.0, *columns["a"][1:]]}, "changed.parquet")
    split = {"by": "random", "test": 0.3, "unlabelled": 0.3}
    specs = [
        spec(path),
        spec(changed),
        spec(path, split={**split, "seed": 1}),
        spec(path, split={**split, "unlabelled": 0.2}),
        spec(path, classes=["z", "y", "x"]),
        spec(path, input={"kind": "tabular", "columns": ["b", "a"]}),
        spec(path, input={"kind": "tabular", "columns": ["a"]}),
    ]
    digests = {resolve(each, tmp_path / "dataset").digest for each in specs}
    assert len(digests) == len(specs)


def test_same_bytes_give_the_same_manifest_twice(tmp_path, spec):
    features = {"kind": "tabular", "columns": ["alcohol"]}
    first = resolve(spec("builtin://wine", input=features), tmp_path / "first")
    assert resolve(spec("builtin://wine", input=features), tmp_path / "second") == first


def test_whole_number_labels_are_sorted_by_size(tmp_path, spec, write, columns):
    path = write({**columns, "label": [10, 9, 100] * 20})
    assert resolve(spec(path), tmp_path / "dataset").classes == ["9", "10", "100"]


def test_whole_numbers_with_gaps_keep_their_names(tmp_path, spec, write, columns):
    """Pandas turns whole numbers into floats once a value is missing."""
    path = write({**columns, "label": [None, *[1.0, 0.0, 2.0] * 19, 1.0, 0.0]})
    manifest = resolve(spec(path, classes=[2, 1, 0]), tmp_path / "dataset")

    assert manifest.classes == ["2", "1", "0"]
    assert manifest.rows["unlabelled"] == 18
    labels = Dataset.open(tmp_path / "dataset").load("labelled", "test").labels
    assert set(labels) == {0, 1, 2}


def test_split_column_decides_rows_and_classes(tmp_path, spec, write, columns):
    fold = ["labelled"] * 20 + ["test"] * 20 + ["unlabelled"] * 15 + [None] * 5
    labels = columns["label"][:40] + ["never read"] * 20
    path = write({**columns, "fold": fold, "label": labels})
    split = {"by": "column", "column": "fold"}
    manifest = resolve(spec(path, split=split), tmp_path / "dataset")

    assert manifest.rows == {"labelled": 20, "unlabelled": 15, "test": 20}
    assert manifest.classes == ["x", "y", "z"]
    assert manifest.assignment is None
    dataset = Dataset.open(tmp_path / "dataset")
    assert dataset.load("test").ids == columns["id"][20:40]
    assert set(dataset.load("unlabelled").labels) == {-1}


def test_split_column_with_another_word_is_refused(tmp_path, spec, write, columns):
    path = write({**columns, "split": ["labelled", "train", "test"] * 20})
    with pytest.raises(UserError, match=r"data\.parquet: row 1: .*value 'train'"):
        resolve(spec(path, split={"by": "column"}), tmp_path / "dataset")


def test_failure_leaves_the_earlier_artifact_as_it_was(tmp_path, spec, write, columns):
    resolve(spec(write(columns)), tmp_path / "out" / "dataset")
    before = (tmp_path / "out" / "dataset" / "manifest.json").read_bytes()
    with pytest.raises(UserError):
        resolve(spec("builtin://wine"), tmp_path / "out" / "dataset")

    assert (tmp_path / "out" / "dataset" / "manifest.json").read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dataset"]


def test_data_that_change_after_resolving_are_noticed(tmp_path, spec, write, columns):
    resolve(spec(write(columns)), tmp_path / "dataset")
    write({**columns, "a": [0.0] * 60})
    with pytest.raises(UserError, match="changed after the data set was resolved"):
        Dataset.open(tmp_path / "dataset").load("test")


def test_manifest_is_json_with_the_meaning_of_columns(tmp_path, spec, write, columns):
    resolve(spec(write(columns)), tmp_path / "dataset")
    manifest = json.loads((tmp_path / "dataset" / "manifest.json").read_text())
    assert manifest["column_types"] == {
        "id": "string",
        "a": "double",
        "b": "double",
        "label": "string",
    }
    assert manifest["split_seed"] == 0


def test_rows_without_an_id_column_are_named_by_position(tmp_path, spec, write, columns):
    del columns["id"]
    manifest = resolve(spec(write(columns), id="@position"), tmp_path / "dataset")
    loaded = Dataset.open(tmp_path / "dataset").load("labelled", "unlabelled", "test")

    assert manifest.id == "@position"
    assert loaded.ids == [f"row-{row}" for row in range(60)]


def split_by_id(folder):
    table = Dataset.open(folder).table()
    ids, split = (table.column(name).to_pylist() for name in (table.column_names[0], "split"))
    return dict(zip(ids, split, strict=True))


def test_rows_in_another_order_or_in_several_files_keep_their_split(tmp_path, spec, write, columns):
    resolve(spec(write(columns)), tmp_path / "first")
    turned = {name: values[::-1] for name, values in columns.items()}
    for part in range(3):
        rows = slice(20 * part, 20 * (part + 1))
        write({name: values[rows] for name, values in turned.items()}, f"parts/{part}.parquet")
    resolve(spec(tmp_path / "parts"), tmp_path / "second")

    assert split_by_id(tmp_path / "second") == split_by_id(tmp_path / "first")


def test_rows_named_by_position_are_drawn_as_rows_with_these_ids(tmp_path, spec, write, columns):
    named = {**columns, "id": [f"row-{row}" for row in range(60)]}
    resolve(spec(write(named)), tmp_path / "named")
    del columns["id"]
    path = write(columns, "without_ids.parquet")
    resolve(spec(path, id="@position"), tmp_path / "position")

    assert split_by_id(tmp_path / "position") == split_by_id(tmp_path / "named")


def test_slice_columns_are_in_the_manifest_and_change_no_digest(tmp_path, spec, write, columns):
    path = write({**columns, "place": ["here", "there"] * 30})
    plain = resolve(spec(path), tmp_path / "plain")
    manifest = resolve(spec(path, slices=["place", "a", "label"]), tmp_path / "sliced")

    assert (plain.slices, manifest.slices) == ([], ["place", "a", "label"])
    assert manifest.column_types == {**plain.column_types, "place": "string"}
    assert manifest.digest == plain.digest


def test_slice_columns_do_not_disturb_the_checks(check, columns):
    places = {"place": [None, "there"] * 30}
    assert check({**columns, **places}, slices=["place", "a", "label"]).success


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"slices": ["plaec"]}, r"there is no column 'plaec'.* slice; did you mean 'place'"),
        ({"slices": ["tags"]}, "the slice column 'tags' is of type .*should hold text, numbers"),
        (
            {
                "uri": "builtin://wine",
                "input": {"kind": "tabular", "columns": ["alcohol"]},
                "slices": ["alcohl"],
            },
            "builtin://wine: there is no column 'alcohl'.*did you mean 'alcohol'",
        ),
        (
            {
                "uri": "builtin://digits",
                "input": {"kind": "image", "size": [1, 8, 8]},
                "slices": ["image"],
            },
            "data.slices: 'image' is the column of images",
        ),
    ],
    ids=["misspelt", "lists", "builtin", "image"],
)
def test_slice_column_that_cannot_be_used_is_refused(
    tmp_path, spec, write, columns, fields, message
):
    more = {"place": ["here", "there"] * 30, "tags": [["a"]] * 60}
    uri = fields.get("uri") or write({**columns, **more})
    rest = {name: value for name, value in fields.items() if name != "uri"}
    with pytest.raises(UserError, match=message):
        resolve(spec(uri, **rest), tmp_path / "dataset")


def test_image_folder_has_no_further_columns_to_slice_by(tmp_path, spec):
    for name in ("cat", "dog"):
        for number in range(5):
            path = tmp_path / "pictures" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4)).save(path)
    image = {"kind": "image", "size": [1, 4, 4]}
    split = {"by": "random", "test": 0.4}
    with pytest.raises(UserError, match="there is no column 'camera', which data uses as slice"):
        resolve(
            spec(tmp_path / "pictures", input=image, split=split, slices=["camera"]),
            tmp_path / "dataset",
        )
    manifest = resolve(
        spec(tmp_path / "pictures", input=image, split=split, slices=["label"]),
        tmp_path / "dataset",
    )
    assert manifest.slices == ["label"]
