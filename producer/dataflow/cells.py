"""Cells of a table as JSON: what pandas, numpy and pyarrow put there, as plain values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from producer.dataflow.files import Rows


def plain(value: object) -> JsonValue:
    """The value as JSON knows it; numbers, lists and times of the libraries become the ordinary ones.

    Raises:
        TypeError: it is something that JSON has no place for, such as bytes.
    """
    match value:
        case None | bool() | str() | int() | float():
            return value
        case Mapping():
            return {str(key): plain(part) for key, part in cast("Mapping[object, object]", value).items()}
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta() | Decimal():
            return str(value)
        case _ if hasattr(value, "tolist"):
            # Arrays and numbers of numpy.
            return plain(cast("Any", value).tolist())
        case list() | tuple() | set():
            return [plain(part) for part in cast("Iterable[object]", value)]
        case _:
            raise TypeError(f"{type(value).__name__} has no place in JSON")


def json_cell(value: object) -> JsonValue:
    """The value of a cell that may be empty, or hold a list or an object as JSON text, as those of CSV files do.

    Raises:
        TypeError: it is something that JSON has no place for.
    """
    if _empty(value):
        return None
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        with suppress(ValueError):
            return json.loads(value)
    return plain(value)


def _empty(value: object) -> bool:
    """None, no text, or what pandas writes where a row has no value."""
    nothing = value is None or (isinstance(value, str) and not value)
    return nothing or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ in ("NAType", "NaTType")


def plain_rows(rows: Rows) -> Iterator[dict[str, JsonValue]]:
    """Rows as JSON.

    Raises:
        ValueError: a record holds something that JSON has no place for.
    """
    for number, row in enumerate(rows, 1):
        yield {name: _plain_field(value, name, number) for name, value in row.items()}


def _plain_field(value: object, name: str, number: int) -> JsonValue:
    try:
        return plain(value)
    except TypeError as error:
        raise ValueError(f"record {number}, field {name!r}: {error}; Parquet has (cache_type)") from None
