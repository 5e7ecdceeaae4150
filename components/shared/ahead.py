"""Making things before they are asked for."""

from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def one_ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """The same items, none of them ``None``; a thread makes one more than was asked for.

    It begins once a second one is asked for: who looks at the first one only pays for no other.
    """
    with closing(items), ThreadPoolExecutor(1) as thread:
        first = next(items, None)
        if first is None:
            return
        yield first
        waiting = _begin(thread, items)
        while (item := waiting.result()) is not None:
            waiting = _begin(thread, items)
            yield item


def _begin(thread: Executor, items: Iterator[T]) -> Future[T | None]:
    """Have the next item made; what is reported meanwhile is of the step that asks for it."""
    context = copy_context()
    return thread.submit(lambda: context.run(next, items, None))
