"""Log lines with the item that they are about, as text or as JSON objects."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from pythonjsonlogger.json import JsonFormatter

from persqa.settings import LogFormat

if TYPE_CHECKING:
    from collections.abc import Iterable


class About(NamedTuple):
    """The item in work."""

    run: int
    item: int


#: Set when work on an item begins; each task of an event loop has its own value.
ABOUT: ContextVar[About | None] = ContextVar("persqa_about", default=None)


class _AddAbout(logging.Filter):
    """Adds the item to every line that does not name one by `extra`."""

    def filter(self, record: logging.LogRecord) -> bool:
        about = ABOUT.get()
        if about is not None and not hasattr(record, "item"):
            record.run, record.item = about
        return True


class _ShowAbout(logging.Formatter):
    """Another formatter's text, with the item at the end of the first line unless the text names it."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        text = self._inner.format(record)
        item = getattr(record, "item", None)
        if item is None or str(item) in text:
            return text
        first, newline, rest = text.partition("\n")
        return f"{first} [item {item}]{newline}{rest}"


def format_logs(handlers: Iterable[logging.Handler], log_format: LogFormat, *, worker: str | None = None) -> None:
    """Set the format of these handlers.

    JSON lines have `time` (UTC), `level`, `logger`, `message` and `worker`; where there are such, `run`, `item` and
    `traceback`; and whatever a library adds.
    """
    for handler in handlers:
        handler.addFilter(_AddAbout())
        match log_format:
            case LogFormat.JSON:
                handler.setFormatter(_json(worker))
            case LogFormat.TEXT:
                handler.setFormatter(_ShowAbout(handler.formatter))


def _json(worker: str | None) -> logging.Formatter:
    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "traceback"},
        static_fields={} if worker is None else {"worker": worker},
    )
