"""What libraries log inside a step, as events: so that every line of a pod's log says its run."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_FORMATTER = logging.Formatter()


class EventHandler(logging.Handler):
    """Passes records on as ``log`` events with ``level``, ``logger`` and ``message``."""

    def __init__(self, emit: Callable[..., None]) -> None:
        """Pass records to ``emit``, as :func:`components.shared.events.emit` takes them."""
        super().__init__()
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        """Print one event; a traceback is a field of it, and not lines of its own."""
        try:
            fields: dict[str, Any] = {"level": record.levelname.lower(), "logger": record.name}
            fields["message"] = record.getMessage()
            if record.exc_info:
                fields["traceback"] = _FORMATTER.formatException(record.exc_info)
            self._emit("log", **fields)
        except Exception:
            # As in other handlers: a message that cannot be formatted fails no step.
            self.handleError(record)


@contextmanager
def logged_as_events(emit: Callable[..., None]) -> Iterator[None]:
    """Make events of what is logged and warned of until the block ends.

    The handlers of the root logger, which KFP has set up for people, rest meanwhile. A library that
    set up handlers of its own keeps them; MLflow is told not to.
    """
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [EventHandler(emit)]
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before
