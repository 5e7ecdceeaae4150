"""Differences of recipes."""

from hypothesis import given
from hypothesis import strategies as st

from components.shared.recipe_changes import Change, recipe_changes

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_recipe_changes_are_told_by_dotted_path_with_old_and_new_value() -> None:
    old = {"seed": 3, "gates": {"accuracy": {"min": 0.9}}, "student": {"hidden": [16]}}
    new = {"seed": 0, "gates": {"size": {"max_bytes": 50_000}}, "student": {"hidden": [16, 8]}}
    assert recipe_changes(old, new) == [
        Change("seed", "3", "0"),
        Change("gates.size", "not set", "{max_bytes: 50000}"),
        Change("gates.accuracy", "{min: 0.9}", "not set"),
        Change("student.hidden", "[16]", "[16, 8]"),
    ]


def test_null_and_absent_are_both_not_set() -> None:
    assert recipe_changes({"rows": None}, {}) == []
    assert recipe_changes({"rows": 4}, {"rows": None}) == [Change("rows", "4", "not set")]
    assert recipe_changes({}, {"card": {}}) == []


def test_mappings_in_lists_of_one_length_are_compared_one_by_one() -> None:
    old = {"candidates": [{"kind": "float32"}, {"kind": "int8_static", "rows": 512}]}
    new = {"candidates": [{"kind": "float32"}, {"kind": "int8_static", "rows": 256}]}
    assert recipe_changes(old, new) == [Change("candidates.1.rows", "512", "256")]


def test_long_lists_are_told_by_what_they_gained_and_lost() -> None:
    old = {"columns": [f"pixel_{n}" for n in range(64)]}
    new = {"columns": [*old["columns"][1:], "age"]}
    assert recipe_changes(old, new) == [
        Change("columns", "64 items; now gone: pixel_0", "64 items; new: age")
    ]
    turned = {"columns": old["columns"][::-1]}
    assert recipe_changes(old, turned) == [
        Change("columns", "64 items", "the same in another order")
    ]


@given(PLAIN)
def test_recipe_is_the_same_as_itself(recipe: object) -> None:
    assert recipe_changes(recipe, recipe) == []


@given(
    st.dictionaries(st.text("abc", min_size=1), st.integers(), min_size=1),
    st.text("xyz", min_size=1),
    st.integers(),
)
def test_added_value_is_the_only_change(recipe: dict[str, int], key: str, value: int) -> None:
    assert recipe_changes(recipe, {**recipe, key: value}) == [Change(key, "not set", str(value))]
