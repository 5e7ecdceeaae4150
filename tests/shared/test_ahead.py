"""Making things before they are asked for."""

from collections.abc import Generator

import pytest

from components.shared.ahead import one_ahead


def test_items_come_in_order_and_an_error_at_its_place() -> None:
    def items() -> Generator[int, None, None]:
        yield from range(5)
        raise ValueError("after the last")

    found: list[int] = []
    with pytest.raises(ValueError, match="after the last"):
        found.extend(one_ahead(items()))
    assert found == [0, 1, 2, 3, 4]
    assert list(one_ahead(items for items in ())) == []


def test_first_item_is_had_alone_and_the_rest_is_closed() -> None:
    made: list[int | str] = []

    def items() -> Generator[int, None, None]:
        try:
            for number in range(5):
                made.append(number)
                yield number
        finally:
            made.append("closed")

    source = one_ahead(items())
    assert next(source) == 0
    assert made == [0]
    assert next(source) == 1
    source.close()
    assert made == [0, 1, 2, "closed"]
