"""Whether the columns that the recipe's validation names are there, and hold what it takes."""

from components.data_validation.columns import (
    BOOLEAN,
    EMPTY,
    NUMBER,
    OTHER,
    TEXT,
    WHOLE,
    kind_of,
    nearest,
)
from components.shared.arrow_types import parse_type
from components.shared.dataset import NO_LABEL, DatasetManifest
from components.shared.errors import UserError
from components.shared.recipe import POSITION, ValidationSpec
from components.shared.recipe.expectations import (
    Between,
    Lengths,
    MatchRegex,
    Maximum,
    Mean,
    Minimum,
    NotMatchRegex,
    NotNull,
    Null,
    PairGreater,
    StandardDeviation,
    Sum,
)

_NUMBERS = (NUMBER, WHOLE)
_NEEDS = {
    _NUMBERS: (Between, Maximum, Mean, Minimum, PairGreater, StandardDeviation, Sum),
    (TEXT,): (Lengths, MatchRegex, NotMatchRegex),
    (NUMBER, WHOLE, TEXT, BOOLEAN, OTHER, "any"): (NotNull, Null),
}
_SINGLE_VALUES = (NUMBER, WHOLE, TEXT, BOOLEAN)


def check_names(spec: ValidationSpec, manifest: DatasetManifest) -> None:
    """Check that every column is one of those that the data set is made of.

    Raises:
        UserError: naming the field, the column and the nearest one.
    """
    known = available(manifest)
    for number, expectation in enumerate(spec.expectations):
        where = f"validation.expectations[{number}] ({expectation.expectation})"
        for name in expectation.columns:
            _known(name, known, where)
            needed = next(
                (kinds for kinds, which in _NEEDS.items() if isinstance(expectation, which)),
                _SINGLE_VALUES,
            )
            if "any" not in needed and known[name] not in (*needed, EMPTY):
                raise UserError(
                    f"{where}: the column {name!r} holds {known[name]}, but this expectation is "
                    f"about {' or '.join(needed)}"
                )
    for name in spec.sensitive:
        _known(name, known, "validation.sensitive")
        if name == manifest.label:
            raise UserError(
                f"validation.sensitive: {name!r} is the label, and class names are in every "
                "manifest, model and report; give the classes names that tell nothing"
            )


def available(manifest: DatasetManifest) -> dict[str, str]:
    """The columns that can be looked at, with what they hold."""
    found = {}
    for name, type_name in manifest.column_types.items():
        if name in (POSITION, NO_LABEL):
            continue
        try:
            found[name] = kind_of(parse_type(type_name))
        except ValueError:
            found[name] = OTHER
    return found


def _known(name: str, known: dict[str, str], where: str) -> None:
    if name not in known:
        raise UserError(
            f"{where}: there is no column {name!r} among those that data uses; "
            f"{nearest(name, known)}. A column that is no feature can be named in data.slices"
        )
