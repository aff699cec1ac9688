"""Rows: results as lines of JSON, in the order of ending, each with the cursor that goes on behind it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from persqa.pairs import PairRow
    from persqa.runs import Run
    from persqa.store import Store


class Line(NamedTuple):
    """One result: its cursor, and its line."""

    cursor: int
    text: bytes


def lines_after(store: Store, run: Run, after: int, *, most: int) -> list[Line]:
    """The results of a run behind a cursor, the first ones; fewer than `most` where there are no more."""
    return [Line(cursor, line(cursor, row)) for cursor, row in store.endings.after(run, after, most=most)]


def end_of(store: Store, run: Run) -> int:
    """The cursor behind which there is nothing yet."""
    return store.endings.last(run)


def line(cursor: int, row: PairRow) -> bytes:
    """A row as the command line has it, with its cursor, and as JSON that every parser takes."""
    value = {"cursor": cursor, **asdict(row)}
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
