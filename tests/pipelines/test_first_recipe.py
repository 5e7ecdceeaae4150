"""What ``kubedistill init`` makes of real data: the recipe loads, and its data resolve and pass."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from components.data_validation.resolve import resolve
from components.data_validation.validate import validate
from components.shared.dataset import DatasetManifest
from components.shared.errors import UserError
from components.shared.recipe import Recipe, TabularInput, load_recipe
from components.shared.recipe.inputs import TextInput
from components.shared.recipe.tokenizers import HashTokenizer
from pipelines.cli import initialising
from pipelines.cli.initialising import write_first_recipe
from pipelines.first_recipe import Found, first_recipe, look_at
from tests.real_data import docstrings, titanic

Init = Callable[..., Recipe]


def write_recipe(data: Path, path: Path, **options: Any) -> Recipe:
    given = {"label": None, "id_column": None, "force": False, **options}
    assert write_first_recipe(str(data), path, **given) == 0
    return load_recipe(path, absolute_paths=True)


@pytest.fixture
def init(tmp_path: Path) -> Init:
    """Writes a first recipe for the data, and loads it as the other commands do."""
    return lambda data, **options: write_recipe(data, tmp_path / "first.yaml", **options)


def accepted(recipe: Recipe, folder: Path) -> DatasetManifest:
    """Resolve and validate the recipe's data, as ``kubedistill validate`` does."""
    manifest = resolve(recipe.data, folder / "dataset")
    validate(folder / "dataset", recipe.validation, folder / "result.json", folder / "docs")
    return manifest


def cancer() -> pd.DataFrame:
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame
    return frame


def wine_with_names() -> pd.DataFrame:
    data = load_wine(as_frame=True)
    return data.data.assign(cultivar=data.target_names[data.target])


def to_parquet(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path)
    return path


def write_table(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def labels(count: int = 120) -> list[str]:
    return ["x", "y", "z"] * (count // 3)


def numbers(count: int = 120, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)


def save_pictures(root: Path, *, mode: str = "L", per_class: int = 15, **sizes: int) -> Path:
    """Digits as PNG files in class folders; ``sizes`` gives some classes another side than 8."""
    data = load_digits()
    for digit in range(3):
        folder = root / f"digit {digit}"
        folder.mkdir(parents=True)
        for number, row in enumerate(np.flatnonzero(data.target == digit)[:per_class]):
            side = sizes.get(f"digit{digit}", 8)
            picture = Image.fromarray((data.images[row] * 15).astype(np.uint8))
            picture.convert(mode).resize((side, side)).save(folder / f"{number}.png")
    return root


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


# Tables


def test_frame_without_an_id_is_named_by_position(init: Init, tmp_path: Path) -> None:
    recipe = init(to_parquet(cancer(), tmp_path / "breast cancer.parquet"))
    assert recipe.name == "breast-cancer"
    assert (recipe.data.id, recipe.data.label) == ("@position", "target")
    assert recipe.data.classes == ["0", "1"]
    assert recipe.data.input.shape == (30,)
    assert sum(accepted(recipe, tmp_path).rows.values()) == 569


def test_csv_with_text_classes(init: Init, tmp_path: Path) -> None:
    wine_with_names().to_csv(tmp_path / "wine.csv", index=False)
    data = to_parquet(pd.read_csv(tmp_path / "wine.csv"), tmp_path / "wine.parquet")
    assert pq.read_schema(data).field("cultivar").type == pa.large_string()
    recipe = init(data)
    assert (recipe.data.label, recipe.data.input.shape) == ("cultivar", (13,))
    assert accepted(recipe, tmp_path).classes == ["class_0", "class_1", "class_2"]


def test_categories_of_pandas_are_text(init: Init, tmp_path: Path) -> None:
    frame = wine_with_names().astype({"cultivar": "category"})
    recipe = init(to_parquet(frame, tmp_path / "wine.parquet"))
    assert recipe.data.label == "cultivar"
    assert accepted(recipe, tmp_path).rows["test"] == 35


@pytest.mark.parametrize("text", [True, False], ids=["text", "whole numbers that became floats"])
def test_rows_without_a_class_are_the_unlabelled_pool(
    init: Init, tmp_path: Path, text: bool
) -> None:
    frame = cancer()
    target = (
        ["benign" if value else "malignant" for value in frame.target] if text else frame.target
    )
    frame["target"] = [None if row % 3 else value for row, value in enumerate(target)]
    assert text or frame["target"].dtype == np.float64
    recipe = init(to_parquet(frame, tmp_path / "data.parquet"))
    assert recipe.data.label == "target"
    assert recipe.data.classes == (["benign", "malignant"] if text else ["0", "1"])
    assert accepted(recipe, tmp_path).rows["unlabelled"] == 379


def test_whole_floats_are_a_label_only_where_nothing_else_is(init: Init, tmp_path: Path) -> None:
    data = write_table(
        tmp_path / "cars.parquet",
        weight=numbers(),
        kind=labels(),
        doors=[2.0, 4.0] * 60,
    )
    assert init(data).data.label == "kind"


def test_split_column_is_used(init: Init, tmp_path: Path) -> None:
    split = ["labelled"] * 60 + ["test"] * 54 + ["unlabelled"] * 6
    kinds = [*labels(114), *["never read"] * 6]
    data = write_table(tmp_path / "data.parquet", a=numbers(), kind=kinds, split=split)
    recipe = init(data)
    assert recipe.data.split.by == "column"
    assert recipe.data.classes == ["x", "y", "z"]
    assert accepted(recipe, tmp_path).rows == {"labelled": 60, "unlabelled": 6, "test": 54}


@pytest.mark.parametrize("values", [["train", "valid"] * 60, [0, 1] * 60, [None] * 120])
def test_column_called_split_that_is_none_is_left_out_with_a_note(
    init: Init, tmp_path: Path, capsys: pytest.CaptureFixture[str], values: list[Any]
) -> None:
    data = write_table(tmp_path / "data.parquet", a=numbers(), kind=labels(), split=values)
    recipe = init(data)
    assert recipe.data.split.by == "random"
    assert (recipe.data.label, recipe.data.features) == ("kind", ["a"])
    assert "note: left out" in capsys.readouterr().err
    accepted(recipe, tmp_path)


def test_unique_text_is_the_id_and_other_ids_are_no_features(
    init: Init, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_table(
        tmp_path / "data.parquet",
        patient_id=[row // 2 for row in range(120)],
        sample=[f"s{row}" for row in range(120)],
        comment=["nothing to see"] * 120,
        a=numbers(),
        label=labels(),
    )
    recipe = init(data)
    assert (recipe.data.id, recipe.data.label, recipe.data.features) == ("sample", "label", ["a"])
    notes = capsys.readouterr().err
    assert "left out, since all rows have the same value: comment" in notes
    assert "left out, since they seem to be ids: patient_id" in notes
    accepted(recipe, tmp_path)


def test_categories_and_gaps_of_a_table_are_seen(
    init: Init, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "titanic.parquet"
    pq.write_table(titanic(), path)
    recipe = init(path, label="survived")
    notes = capsys.readouterr().err
    assert (recipe.data.id, recipe.data.classes) == ("passenger", ["0", "1"])
    assert isinstance(recipe.data.input, TabularInput)
    assert [(part.name, part.kind) for part in recipe.data.input.parts] == [
        ("pclass", "numeric"),
        ("sibsp", "numeric"),
        ("parch", "numeric"),
        ("age", "numeric"),
        ("fare", "numeric"),
        ("sex", "categorical"),
        ("embarked", "categorical"),
    ]
    assert recipe.data.input.missing == "indicator"
    assert "left out, since there are more than 50 categories, or few rows of each: cabin" in notes
    assert "some numbers are missing in age, fare: the mean stands for them" in notes
    resolve(recipe.data, tmp_path / "dataset")


def test_sentences_are_a_text_and_no_id(init: Init, tmp_path: Path) -> None:
    texts = docstrings("email", "logging").drop_columns(["id"])
    path = tmp_path / "docstrings.parquet"
    pq.write_table(texts, path)
    recipe = init(path)
    assert (recipe.data.id, recipe.data.label) == ("@position", "package")
    assert recipe.data.input == TextInput(
        kind="text", column="text", tokenizer=HashTokenizer(), length=256
    )
    assert recipe.student.model.family == "bag"
    accepted(recipe, tmp_path)


def test_text_beside_numbers_is_left_out(
    init: Init, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "reviews.parquet"
    said = [f"this is what customer {row} said" for row in range(120)]
    recipe = init(write_table(path, said=said, a=numbers(), label=labels()))
    assert recipe.data.features == ["a"]
    assert "a text is an input of its own, without other columns: said" in capsys.readouterr().err


def test_options_overrule_the_guesses(init: Init, tmp_path: Path) -> None:
    data = write_table(
        tmp_path / "data.parquet",
        id=list(range(120)),
        code=[f"s{row}" for row in range(120)],
        a=numbers(),
        grade=[1, 2, 3] * 40,
        label=labels(),
    )
    recipe = init(data, label="grade", id_column="code")
    assert (recipe.data.id, recipe.data.label) == ("code", "grade")
    assert recipe.data.features == ["a"]
    accepted(recipe, tmp_path)


def test_folder_of_parquet_files_without_what_other_tools_left(init: Init, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    frame = wine_with_names()
    to_parquet(frame[:90], folder / "a.parquet")
    to_parquet(frame[90:], folder / "b.parquet")
    (folder / "_metadata.parquet").write_bytes(b"not for us")
    (folder / ".cache.parquet").write_bytes(b"nor this")
    recipe = init(folder)
    assert sum(accepted(recipe, tmp_path).rows.values()) == 178


ODD_NAMES = [
    "it's",
    'say "hi"',
    "a: b",
    "#1",
    "new\nline",
    "tab\tbell\a\x7f\x85\u2028",
    "naïve 😀 温度",
    "sepal.length",
    "{{ jinja }} {% if %}",
    "[red]markup[/]",
    "<&>",
    "\\",
    " ",
    "- [x, y]",
    "null",
    "1e5",
    "",
]


@pytest.mark.parametrize("label", ['it\'s a "class": #1\n😀', "[/red]", "true"])
def test_odd_names_survive_yaml(init: Init, tmp_path: Path, label: str) -> None:
    classes = ["yes", "no: #\n'\"", "2024-01-01"]
    columns = {name: numbers(seed=seed) for seed, name in enumerate(ODD_NAMES)}
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({**columns, label: classes * 40}), path)
    recipe = init(path, label=label)
    assert recipe.data.features == ODD_NAMES
    assert recipe.data.label == label
    assert recipe.data.classes == sorted(classes)
    accepted(recipe, tmp_path)


@given(
    names=st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True),
    label=st.text(),
    classes=st.lists(st.text(), min_size=2, max_size=4, unique=True),
    file=st.text(),
)
@example(names=["1e5", "~"], label="1e5", classes=["1e5", "1e+5", "0x1f", "1_000"], file="1e5")
@settings(max_examples=60)
def test_any_text_means_the_same_in_the_recipe(
    names: list[str], label: str, classes: list[str], file: str
) -> None:
    found = Found(
        name="any",
        uri="/data/" + file.replace("\0", ""),
        label=f"label {label}",
        id=f"id {label}",
        classes=classes,
        input=TabularInput(columns=[f"feature {name}" for name in names]),
    )
    text = first_recipe(found, Path("/data"))
    recipe = parse(text)
    assert recipe.data.features == [f"feature {name}" for name in names]
    assert (recipe.data.label, recipe.data.id) == (found.label, found.id)
    assert recipe.data.classes == classes


def parse(text: str) -> Recipe:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return load_recipe(path)


@pytest.mark.parametrize("name", ["2024", "2024-01-01", "true", "null", "1e5", "0x1f", "ÄÖÜ", "~#"])
def test_any_file_name_gives_a_valid_name(init: Init, tmp_path: Path, name: str) -> None:
    recipe = init(write_table(tmp_path / f"{name}.parquet", a=numbers(), label=labels()))
    assert recipe.data.uri == str(tmp_path / f"{name}.parquet")
    assert recipe.registry.model == f"{recipe.name}-student"


def test_recipe_and_data_can_move_together(init: Init, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    init(write_table(tmp_path / "data" / "rows.parquet", a=numbers(), label=labels()))
    assert load_recipe(tmp_path / "first.yaml").data.uri == "data/rows.parquet"


# Images


def test_images_of_one_size_keep_it(init: Init, tmp_path: Path) -> None:
    recipe = init(save_pictures(tmp_path / "pictures", per_class=40))
    assert recipe.data.input.shape == (1, 8, 8)
    assert recipe.data.classes == ["digit 0", "digit 1", "digit 2"]
    assert accepted(recipe, tmp_path).rows["test"] == 24


def test_images_of_different_sizes_are_resized_and_it_is_said(
    init: Init, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = init(save_pictures(tmp_path / "pictures", digit1=12, per_class=40))
    assert recipe.data.input.shape == (1, 32, 32)
    assert "images are resized to 32x32" in capsys.readouterr().err
    accepted(recipe, tmp_path)


def test_coloured_images_have_three_channels(init: Init, tmp_path: Path) -> None:
    recipe = init(save_pictures(tmp_path / "pictures", mode="RGB", per_class=40))
    assert recipe.data.input.shape == (3, 8, 8)
    accepted(recipe, tmp_path)


def test_stray_files_beside_images_are_ignored(init: Init, tmp_path: Path) -> None:
    root = save_pictures(tmp_path / "pictures", per_class=40)
    (root / "README.txt").write_text("about these pictures")
    (root / "digit 0" / "notes.txt").write_text("blurred")
    (root / ".DS_Store").write_bytes(b"\0")
    assert sum(accepted(init(root), tmp_path).rows.values()) == 120


@pytest.mark.parametrize("kind", ["encoded", "lists", "coloured lists"])
def test_images_in_a_column(init: Init, tmp_path: Path, kind: str) -> None:
    data = load_digits()
    images: Any
    if kind == "encoded":
        images = [png(image * 15) for image in data.images[:300]]
    elif kind == "lists":
        images = [image.ravel() for image in data.images[:300]]
    else:
        images = [np.concatenate([image.ravel()] * 3) for image in data.images[:300]]
    recipe = init(write_table(tmp_path / "d.parquet", pixels=images, digit=data.target[:300]))
    assert recipe.data.input.kind == "image"
    assert recipe.data.input.shape == ((3, 8, 8) if kind == "coloured lists" else (1, 8, 8))
    assert recipe.data.classes == [str(digit) for digit in range(10)]
    accepted(recipe, tmp_path)


# Mistakes


def refusal(data: Path, **options: str) -> str:
    with pytest.raises(UserError) as caught:
        look_at(str(data), **{"label": None, "id_column": None, **options})
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_nothing_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.parquet") == f"{tmp_path}/no.parquet: no such file or folder"


def test_not_parquet(tmp_path: Path) -> None:
    (tmp_path / "data.parquet").write_text("a,b\n1,2\n")
    assert refusal(tmp_path / "data.parquet").startswith(
        f"{tmp_path}/data.parquet: cannot be read as Parquet"
    )


def test_empty_folder(tmp_path: Path) -> None:
    assert "holds neither Parquet files (*.parquet) nor folders of images" in refusal(tmp_path)


def test_no_rows(tmp_path: Path) -> None:
    path = write_table(tmp_path / "d.parquet", a=pa.array([], pa.float64()), label=pa.array([]))
    assert refusal(path) == f"{path}: has no rows"


def test_no_column_that_may_be_a_class(tmp_path: Path) -> None:
    path = write_table(tmp_path / "d.parquet", a=numbers(), b=numbers(), c=["one value"] * 120)
    assert "no column looks like a class" in refusal(path)
    assert "name it with --label" in refusal(path)


def test_unknown_column_in_an_option(tmp_path: Path) -> None:
    path = write_table(tmp_path / "d.parquet", a=numbers(), kind=labels())
    assert refusal(path, label="Kind") == "--label Kind: there is no such column; there are a, kind"
    assert refusal(path, id_column="row") == "--id row: there is no such column; there are a, kind"


@pytest.mark.parametrize(
    "values",
    [numbers(), pd.date_range("2024-01-01", periods=120), [b"x", b"y"] * 60, [[1], [2]] * 60],
    ids=["fractions", "dates", "bytes", "lists"],
)
def test_column_that_cannot_be_a_class(tmp_path: Path, values: Any) -> None:
    path = write_table(tmp_path / "d.parquet", a=numbers(), kind=labels(), other=values)
    assert "but a class is text or a whole number" in refusal(path, label="other")


def test_label_with_one_class_or_too_many(tmp_path: Path) -> None:
    path = write_table(
        tmp_path / "d.parquet",
        a=numbers(300),
        one=["same"] * 300,
        many=[f"v{row}" for row in range(300)],
    )
    assert refusal(path, label="one") == "column 'one' has 1 classes; at least 2 are needed"
    assert "has 300 different values" in refusal(path, label="many")


@pytest.mark.parametrize("values", [["r1"] * 120, [None, *range(119)], list(numbers())])
def test_id_that_does_not_tell_rows_apart(tmp_path: Path, values: list[Any]) -> None:
    path = write_table(tmp_path / "d.parquet", key=values, a=numbers(), kind=labels())
    assert "with a different value in each row" in refusal(path, id_column="key")


def test_split_can_be_neither_label_nor_id(tmp_path: Path) -> None:
    path = write_table(tmp_path / "d.parquet", a=numbers(), split=labels())
    for option in ("label", "id_column"):
        assert "the name is kept for the split; rename the column" in refusal(
            path, **{option: "split"}
        )


def test_columns_of_one_name(tmp_path: Path) -> None:
    arrays = [pa.array(numbers()), pa.array(numbers()), pa.array(labels())]
    pq.write_table(pa.Table.from_arrays(arrays, names=["a", "a", "label"]), tmp_path / "d.parquet")
    assert "has several columns called 'a'" in refusal(tmp_path / "d.parquet")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([None] * 120, pa.binary()), "column 'image' has no image in any row"),
        ([b"\x89PNG but not really"] * 120, "column 'image' holds bytes that are not an image"),
        ([[1.0, 2.0]] * 120, "column 'image' has 2 numbers a row, which is not a square image"),
        ([[]] * 119 + [[1.0]], "column 'image' has 0 numbers a row"),
    ],
)
def test_image_column_without_usable_images(tmp_path: Path, values: Any, message: str) -> None:
    path = write_table(tmp_path / "d.parquet", image=values, label=labels())
    assert message in refusal(path)


def test_class_folder_without_an_image(tmp_path: Path) -> None:
    root = save_pictures(tmp_path / "pictures")
    (root / "empty").mkdir()
    assert refusal(root).startswith(f"{root}/empty: this class folder holds no image")


def test_one_class_folder(tmp_path: Path) -> None:
    root = save_pictures(tmp_path / "pictures")
    assert "has one class folder, 'pictures'; at least 2 classes are needed" in refusal(tmp_path)
    assert look_at(str(root), label=None, id_column=None).classes[0] == "digit 0"


def test_image_that_is_none(tmp_path: Path) -> None:
    root = save_pictures(tmp_path / "pictures")
    (root / "digit 1" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    assert f"{root}/digit 1/0.png: this image cannot be decoded" in refusal(root)


def test_options_for_columns_do_not_fit_a_folder_of_images(tmp_path: Path) -> None:
    root = save_pictures(tmp_path / "pictures")
    assert "--label digit: " in refusal(root, label="digit")
    assert "--id name: " in refusal(root, id_column="name")


@pytest.mark.parametrize("name", ["x" * 300, "data.parquet/below"], ids=["too long", "file above"])
def test_path_that_cannot_be_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / "data.parquet").write_bytes(b"")
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name}: ")


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user who is not root, who may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_unreadable_data(tmp_path: Path) -> None:
    path = write_table(tmp_path / "d.parquet", a=numbers(), label=labels())
    path.chmod(0)
    (tmp_path / "closed").mkdir(mode=0)
    with unprivileged():
        assert "Permission denied" in refusal(path)
        assert "Permission denied" in refusal(tmp_path / "closed")


def test_existing_recipe_is_kept_unless_forced(init: Init, tmp_path: Path) -> None:
    data = write_table(tmp_path / "d.parquet", a=numbers(), label=labels())
    (tmp_path / "first.yaml").write_text("written by hand")
    with pytest.raises(UserError, match=r"first\.yaml exists already; choose another --output, or"):
        init(data)
    assert (tmp_path / "first.yaml").read_text() == "written by hand"
    assert init(data, force=True).name == "d"


def test_column_of_a_reserved_name(tmp_path: Path) -> None:
    columns = {"@position": numbers(), "label": labels()}
    message = refusal(write_table(tmp_path / "d.parquet", **columns))
    assert "'@position' stands for rows without an id; rename that column" in message


@pytest.mark.parametrize("former", ["", "written by hand"])
def test_recipe_that_does_not_load_is_not_written(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, former: str
) -> None:
    monkeypatch.setattr(initialising, "first_recipe", lambda *_: "name: [")
    data = write_table(tmp_path / "d.parquet", a=numbers(), label=labels())
    path = tmp_path / "first.yaml"
    if former:
        path.write_text(former)
    with pytest.raises(UserError, match="not valid YAML"):
        init(data, force=True)
    assert (path.read_text() if path.exists() else "") == former


def test_mistake_leaves_no_recipe_and_keeps_a_former_one(init: Init, tmp_path: Path) -> None:
    data = write_table(tmp_path / "d.parquet", a=numbers(), label=labels())
    with pytest.raises(UserError):
        init(data, label="nope")
    assert not (tmp_path / "first.yaml").exists()
    (tmp_path / "first.yaml").write_text("written by hand")
    with pytest.raises(UserError):
        init(data, label="nope", force=True)
    assert (tmp_path / "first.yaml").read_text() == "written by hand"
