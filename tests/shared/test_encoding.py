"""Arrow columns to the raw inputs of models."""

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from components.shared.encoding.categories import category_codes, distinct_categories
from components.shared.encoding.faults import BadValue
from components.shared.encoding.rows import encode
from components.shared.errors import UserError
from components.shared.recipe.inputs import ImageInput, TabularInput, TextInput
from components.shared.recipe.tokenizers import HashTokenizer

NAN = np.nan


def table_input(*columns: Any, missing: str = "error") -> TabularInput:
    return TabularInput.model_validate({"columns": list(columns), "missing": missing})


def city(**fields: Any) -> dict[str, Any]:
    return {"name": "city", "kind": "categorical", "categories": ["Bonn", "Köln"], **fields}


def png(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


def test_row_has_numbers_codes_and_nan_where_a_value_is_missing() -> None:
    table = pa.table(
        {
            "city": ["Köln", "Ulm", None, "Bonn"],
            "age": pa.array([31, None, 7, 90]),
            "fare": [1.5, NAN, 2.5, 3.5],
        }
    )
    found = encode(table, table_input("fare", city(), "age", missing="mean"))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, np.float32([[1.5, 1, 31], [NAN, 2, NAN], [2.5, NAN, 7], [3.5, 0, 90]])
    )


@pytest.mark.parametrize(
    "values",
    [
        ["10", "2", None, "7"],
        pa.array(["10", "2", None, "7"]).dictionary_encode(),
        pa.array(["10", "2", None, "7"], pa.large_string()),
        pa.array([10, 2, None, 7], pa.int16()),
        [10.0, 2.0, NAN, 7.0],
    ],
    ids=["text", "dictionary", "large text", "whole numbers", "floats of pandas"],
)
def test_category_has_the_same_code_however_it_is_stored(values: Any) -> None:
    column = pa.chunked_array([pa.array(values)] if isinstance(values, list) else [values])
    np.testing.assert_array_equal(category_codes(column, ["2", "10"]), [1, 0, NAN, 2])


def test_true_and_false_are_categories_1_and_0() -> None:
    column = pa.chunked_array([[True, None], [False]])
    np.testing.assert_array_equal(category_codes(column, ["0", "1"]), [1, NAN, 0])


@given(
    st.lists(st.sampled_from(["a", "b", "c", "other", None]), max_size=40),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_codes_do_not_depend_on_how_a_column_is_cut(
    values: list[str | None], cuts: list[int]
) -> None:
    ends = sorted({min(cut, len(values)) for cut in cuts} | {0, len(values)})
    column = pa.chunked_array([values[start:stop] for start, stop in pairwise(ends)], pa.string())
    codes = {"c": 0.0, "a": 1.0, None: NAN}
    expected = np.float32([codes.get(value, 2.0) for value in values])
    np.testing.assert_array_equal(category_codes(column, ["c", "a"]), expected)


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([["2", "1"], ["2", None, "0"]]),
        pa.chunked_array([["2", "1"], ["2", None, "0"]]).dictionary_encode(),
        pa.chunked_array(
            [pa.DictionaryArray.from_arrays([0, 1, 0, None, 2], ["2", "1", "0", "9"])]
        ),
        pa.chunked_array([[2.0, 1.0], [2.0, NAN, 0.0]]),
    ],
    ids=["text", "dictionary", "dictionary with an unused name", "floats of pandas"],
)
def test_categories_are_those_of_rows_and_not_of_a_dictionary(column: pa.ChunkedArray) -> None:
    assert distinct_categories(column) == {"0", "1", "2"}
    assert distinct_categories(column.filter(pa.array([True, False, True, True, False]))) == {"2"}
    assert distinct_categories(column.slice(5)) == set()


def test_unknown_category_is_an_error_where_the_recipe_says_so() -> None:
    table = pa.table({"city": ["Köln", None, "Ulm", "Bern"]})
    with pytest.raises(BadValue) as caught:
        encode(table, table_input(city(unknown="error")))
    assert caught.value.row == 2
    assert caught.value.reason == (
        "city is 'Ulm', which is not one of its categories Bonn, Köln; add it to them, or set "
        "unknown: other"
    )
    assert caught.value.discreet == (
        "city has a value that is not one of its categories; add it to them, or set unknown: other"
    )


def test_token_ids_are_exact_up_to_the_largest_bucket() -> None:
    ids = [[0, 2**24 - 1, 2**24], [1, 2, 3]]
    table = pa.table({"text": pa.array(ids, pa.list_(pa.int32(), 3))})
    spec = TextInput(kind="text", length=3, tokenizer=HashTokenizer(buckets=2**24 - 1))
    found = encode(table, spec)
    assert found.dtype == np.float32
    assert found.astype(np.int64).tolist() == ids


def test_text_without_ids_is_named() -> None:
    table = pa.table({"text": pa.array([[1, 2], None], pa.list_(pa.int32(), 2))})
    spec = TextInput(kind="text", length=2, tokenizer=HashTokenizer())
    with pytest.raises(BadValue, match="text in row 1: has 0 values, but tokens needs 2"):
        encode(table, spec)


@pytest.mark.parametrize("kind", [pa.list_(pa.uint8()), pa.list_(pa.uint8(), 12), pa.binary()])
def test_every_byte_of_an_image_arrives(kind: pa.DataType) -> None:
    """300 rows: several threads decode them, and each ends in its place."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 2, 2, 3), dtype=np.uint8)
    channels_first = pixels.transpose(0, 3, 1, 2)
    values: list[Any] = (
        [png(image) for image in pixels]
        if kind == pa.binary()
        else channels_first.reshape(300, 12).tolist()
    )
    table = pa.table({"image": pa.array(values, kind)})
    found = encode(table.slice(7), ImageInput(kind="image", size=[3, 2, 2]))
    np.testing.assert_array_equal(found, channels_first[7:].astype(np.float32))


def test_first_image_that_cannot_be_used_is_named_whatever_thread_met_it() -> None:
    good = png(np.zeros((4, 4), np.uint8))
    values = [good] * 200
    values[170], values[131] = b"no image", png(np.zeros((5, 4), np.uint8))
    with pytest.raises(BadValue, match="image in row 131: is 5x4, but data.input.size says 4x4"):
        encode(pa.table({"image": values}), ImageInput(kind="image", size=[1, 4, 4]))


@pytest.mark.parametrize(
    ("kind", "form"),
    [(np.uint16, "PNG"), (np.uint16, "TIFF"), (np.int32, "TIFF"), (np.float32, "TIFF")],
)
def test_image_of_more_than_8_bits_is_not_clipped_to_white(kind: type, form: str) -> None:
    images = [png(np.zeros((4, 4), np.uint8)), png(np.full((4, 4), 300, kind), form)]
    with pytest.raises(BadValue, match="image in row 1: has more than 8 bits a channel; convert"):
        encode(pa.table({"image": images}), ImageInput(kind="image", size=[1, 4, 4]))


@pytest.mark.parametrize("broken", ["P6 x 4 255\n", "P5 4 4 0\n", "P2 1 1 255 y\n", "tiff"])
def test_broken_header_is_an_image_that_cannot_be_decoded(broken: str) -> None:
    tiff = bytearray(png(np.zeros((4, 4), np.uint8), "TIFF"))
    tiff[12] = 1  # "Invalid dimensions"
    image = bytes(tiff) if broken == "tiff" else broken.encode()
    with pytest.raises(BadValue, match="image in row 0: cannot be decoded"):
        encode(pa.table({"image": [image]}), ImageInput(kind="image", size=[1, 4, 4]))


def test_encoded_images_have_one_or_three_channels() -> None:
    with pytest.raises(UserError, match="data.input.size: 2 channels; encoded images have 1"):
        encode(pa.table({"image": [b""]}), ImageInput(kind="image", size=[2, 4, 4]))
