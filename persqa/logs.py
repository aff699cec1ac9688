"""Log lines with the item that they are about, as text or as JSON objects."""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from textwrap import wrap
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from pythonjsonlogger.json import JsonFormatter

from persqa.settings import LogFormat

if TYPE_CHECKING:
    from collections.abc import Iterable


_INDENT = "  "


def wrapped(text: str, file: int) -> str:
    """The text for this file: on a terminal, lines that are longer than it is wide are broken between words."""
    try:
        width = os.get_terminal_size(file).columns
    except OSError:
        return text
    if width <= 0:
        return text
    lines = (
        wrap(line, width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False) or [""]
        for line in text.split("\n")
    )
    return "\n".join(part for line in lines for part in line)


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

    def __init__(self, inner: logging.Formatter | None, file: int | None) -> None:
        super().__init__()
        self._file = file
        self._inner = inner or logging.Formatter("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        text = self._text(record)
        return text if self._file is None else wrapped(text, self._file)

    def _text(self, record: logging.LogRecord) -> str:
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
                handler.setFormatter(_ShowAbout(handler.formatter, _file_of(handler)))


def _file_of(handler: logging.Handler) -> int | None:
    """The number of the file that a handler writes to, if it is one."""
    try:
        return cast("IO[str]", vars(handler)["stream"]).fileno()
    except (KeyError, AttributeError, OSError, ValueError):
        return None


def _json(worker: str | None) -> logging.Formatter:
    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "traceback"},
        static_fields={} if worker is None else {"worker": worker},
    )
