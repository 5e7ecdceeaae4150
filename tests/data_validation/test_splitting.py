"""Which row goes into which split."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data_validation.splitting import check_split_column, random_split
from components.shared.errors import UserError
from components.shared.recipe import RandomSplit

LABELS = ["x", "y", "z"] * 20
CLASSES = ["x", "y", "z"]


def counts(split):
    return dict(Counter(split))


def test_counts_are_kept_exactly_and_the_rest_is_in_no_split():
    split = random_split(LABELS, CLASSES, RandomSplit(labelled=12, unlabelled=15, test=18))
    assert counts(split) == {"labelled": 12, "unlabelled": 15, "test": 18, None: 15}


def test_each_split_has_the_class_shares_of_the_data():
    split = random_split(LABELS, CLASSES, RandomSplit(labelled=12, unlabelled=15, test=18))
    pairs = Counter(zip(split, LABELS, strict=True))
    for name, size in (("labelled", 12), ("unlabelled", 15), ("test", 18)):
        assert [pairs[name, label] for label in CLASSES] == [size // 3] * 3


def test_fractions_are_of_the_labelled_rows_and_labelled_takes_the_rest():
    split = random_split([*LABELS, None], CLASSES, RandomSplit(unlabelled=0.29, test=0.2))
    # 0.29 of 60 is 17.4; the row without a label comes on top.
    assert counts(split) == {"labelled": 31, "unlabelled": 18, "test": 12}


def test_rows_without_label_go_to_unlabelled_and_foreign_labels_to_labelled():
    split = random_split([*LABELS, None, "q"], CLASSES, RandomSplit(labelled=12, test=18))
    assert split[60:] == ["unlabelled", "labelled"]


def test_seed_decides_the_split_and_nothing_else():
    first = random_split(LABELS, CLASSES, RandomSplit(seed=1))
    assert first == random_split(LABELS, CLASSES, RandomSplit(seed=1))
    assert first != random_split(LABELS, CLASSES, RandomSplit(seed=2))
    assert [row for row, name in enumerate(first) if name == "test"] == [
        2, 5, 15, 24, 26, 31, 33, 34, 36, 43, 53, 55,
    ]  # fmt: skip


@given(
    labelled=st.integers(3, 40),
    unlabelled=st.integers(0, 40),
    test=st.integers(3, 40),
    seed=st.integers(0, 5),
)
def test_any_sizes_that_fit_are_met(labelled, unlabelled, test, seed):
    spec = RandomSplit(labelled=labelled, unlabelled=unlabelled, test=test, seed=seed)
    if labelled + unlabelled + test > len(LABELS):
        with pytest.raises(UserError, match="only 60 rows have a label"):
            random_split(LABELS, CLASSES, spec)
        return
    split = counts(random_split(LABELS, CLASSES, spec))
    assert (split["labelled"], split.get("unlabelled", 0), split["test"]) == (
        labelled,
        unlabelled,
        test,
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"labelled": 50, "test": 20}, "asks for 50 labelled, 0 unlabelled and 20 test rows, but"),
        ({"unlabelled": 50, "test": 20}, "only 60 rows have a label"),
        ({"unlabelled": 40, "test": 20}, "labelled and test need at least one each"),
        ({"test": 0.01}, "labelled and test need at least one each"),
        (
            {"labelled": 2, "unlabelled": 30, "test": 20},
            "2 labelled rows cannot hold each of the 3",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_the_numbers(spec, message):
    with pytest.raises(UserError) as refusal:
        random_split(LABELS, CLASSES, RandomSplit(**spec))
    assert message in str(refusal.value)


def test_class_with_one_row_is_named():
    with pytest.raises(UserError, match="class 'rare' has too few rows"):
        random_split([*LABELS, "rare"], [*CLASSES, "rare"], RandomSplit())


def test_split_column_may_hold_split_names_and_nothing_else():
    check_split_column(["labelled", "test", "unlabelled", None], "fold")
    with pytest.raises(UserError, match="'fold' has the value 'train' in row 1"):
        check_split_column(["test", "train"], "fold")
