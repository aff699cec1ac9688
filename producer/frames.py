"""Frames: rows as a table of pandas, with a type for each column."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from persqa.libraries import library
from persqa.pairs import PENDING
from persqa.policies import Rung
from persqa.results import Status
from persqa.reviews import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from persqa.flags import Finding
    from persqa.pairs import PairRow

#: Rows that are turned into columns at once.
_AT_ONCE = 10_000
#: The columns in their order. Text of records need not be UTF-8, which only Python's own texts can hold.
_TEXT = "string[python]"
_COLUMNS = {
    "item_id": "int64",
    "record_id": _TEXT,
    "position": "int64",
    "slot": "int64",
    "image": _TEXT,
    "tag": _TEXT,
    "topic": _TEXT,
    "question": _TEXT,
    "answer": _TEXT,
    "status": (*Status, PENDING),
    "reason": _TEXT,
    "detail": _TEXT,
    "rung": tuple(Rung),
    "forced": "boolean",
    "generations": "Int64",
    "prompt_tokens": "Int64",
    "output_tokens": "Int64",
    "worker": _TEXT,
    "model": _TEXT,
    "finished_at": "datetime64[us, UTC]",
    "review": tuple(Decision),
    "edited_answer": _TEXT,
    "starred": "bool",
    "note": _TEXT,
    "reviewer": _TEXT,
    "flags": _TEXT,
    "logprob_mean": "Float64",
    "logprob_min": "Float64",
    "logprob_min_token": _TEXT,
    "record": "object",
}


def frame(rows: Iterable[PairRow]) -> Any:
    """A `DataFrame` with a row for each of these, in their order.

    Raises:
        InputError: pandas is not installed.
    """
    pandas = library("pandas", "a data frame")
    types = {
        name: kind if isinstance(kind, str) else pandas.CategoricalDtype(list(map(str, kind)))
        for name, kind in _COLUMNS.items()
    }
    remaining = iter(rows)
    # The first one is there even without rows, so that its columns are.
    frames = [_part(pandas, list(islice(remaining, _AT_ONCE)), types)]
    while some := list(islice(remaining, _AT_ONCE)):
        frames.append(_part(pandas, some, types))
    return pandas.concat(frames, ignore_index=True)


def _part(pandas: Any, rows: list[PairRow], types: Mapping[str, Any]) -> Any:
    return pandas.DataFrame({
        name: pandas.Series([_cell(getattr(row, name)) for row in rows], dtype=kind) for name, kind in types.items()
    })  # fmt: skip


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        # Those of flags; where they are found is in the rows.
        return ",".join(found.flag for found in cast("tuple[Finding, ...]", value))
    # A member of an enumeration is a text of its own kind, which pandas would keep.
    return str(value) if isinstance(value, str) else value
