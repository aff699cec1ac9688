"""Lines of logs: of which item each speaks, and as one JSON object a line where that is wanted."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from pythonjsonlogger.json import JsonFormatter

from persqa.settings import LogFormat

if TYPE_CHECKING:
    from collections.abc import Iterable


class About(NamedTuple):
    """What is being worked on."""

    run: int
    item: int


#: Set by whoever begins with an item; each task of an event loop has its own.
ABOUT: ContextVar[About | None] = ContextVar("persqa_about", default=None)


class _AddAbout(logging.Filter):
    """Lets every line say what it is about, unless it was told (`extra`)."""

    def filter(self, record: logging.LogRecord) -> bool:
        about = ABOUT.get()
        if about is not None and not hasattr(record, "item"):
            record.run, record.item = about
        return True


class _ShowAbout(logging.Formatter):
    """Another formatter's lines, with the item they are about at the end of the first where they do not name it."""

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
    """Let these handlers write in a format.

    Args:
        handlers: of a logger that is set up otherwise.
        log_format: `json` for objects with `time` (UTC), `level`, `logger`, `message`, `worker`, `run` and `item` of a
            line about an item, `traceback` if there is one, and what else a library adds.
        worker: who writes.
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
