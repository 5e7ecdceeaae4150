"""Arrow types from their names, as a manifest has them."""

import re

import pyarrow as pa

_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(\w+), ordered=([01])>")
_LIST = re.compile(r"(large_list|list|fixed_size_list)<[^:<>]+: (.+?)( not null)?>(?:\[(\d+)\])?")
_ZONED = re.compile(r"timestamp\[(\w+), tz=(.+)\]")


def parse_type(name: str) -> pa.DataType:
    """The Arrow type whose ``str`` is ``name``: a plain one, a dictionary, or a list of plain ones.

    Raises:
        ValueError: it is of another kind.
    """
    if found := _DICTIONARY.fullmatch(name):
        values, indices, ordered = found.groups()
        return pa.dictionary(parse_type(indices), parse_type(values), ordered=ordered == "1")
    if found := _ZONED.fullmatch(name):
        return pa.timestamp(*found.groups())
    if found := _LIST.fullmatch(name):
        kind, value, required, size = found.groups()
        field = pa.field("item", parse_type(value), nullable=required is None)
        if kind == "fixed_size_list":
            return pa.list_(field, int(size))
        return pa.large_list(field) if kind == "large_list" else pa.list_(field)
    return pa.type_for_alias(name)
