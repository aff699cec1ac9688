"""Rows: results as lines of JSON, in the order of ending, each with the cursor that goes on behind it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from persqa.pairs import Ending
    from persqa.progress import Progress
    from persqa.runs import Run
    from persqa.store import Store


class Line(NamedTuple):
    """One result: its cursor, and its line."""

    cursor: int
    text: bytes


class Page(NamedTuple):
    """Some results; the others are as of `persqa.store.endings.Page`."""

    lines: list[Line]
    cursor: int
    last: bool
    progress: Progress


def page_after(store: Store, run: Run, cursor: int) -> Page:
    """The next results behind a cursor.

    Raises:
        RunNotFound: the run is gone.
        SettingsError: the run has had no such cursor.
    """
    page = store.endings.page(run, cursor)
    lines = [Line(row.cursor, line_of(row)) for row in page.rows]
    return Page(lines, page.cursor, page.last, page.progress)


def line_of(row: Ending) -> bytes:
    """A row as the command line has it, and as JSON that every parser takes."""
    value = asdict(row)
    try:
        text = json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        # A record may hold what JSON lacks, and Python reads.
        text = json.dumps(_finite(value), default=str, allow_nan=False)
    return text.encode() + b"\n"


def _finite(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _finite(inner) for name, inner in cast("dict[str, object]", value).items()}
        case list() | tuple():
            return list(map(_finite, cast("list[object]", value)))
        case _:
            return value
