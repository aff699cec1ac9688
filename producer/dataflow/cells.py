"""Cells of a table as JSON: values of pandas, numpy and pyarrow become plain ones, images become references."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from persqa.blobs import blob_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

Rows: TypeAlias = list[dict[str, Any]]
#: Stores bytes and returns their digest.
KeepBytes: TypeAlias = Callable[[bytes], str]


def plain(value: object) -> JsonValue:
    """The value as JSON; numbers, lists and times of the libraries become ordinary ones.

    Raises:
        TypeError: JSON has no place for the value, as for bytes.
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
    """The value of a cell that may be empty, or hold a list or an object as JSON text, as in CSV files.

    Raises:
        TypeError: JSON has no place for the value.
    """
    if _empty(value):
        return None
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        with suppress(ValueError):
            return json.loads(value)
    return plain(value)


def _empty(value: object) -> bool:
    """Whether it is None, empty text, or a missing value of pandas."""
    nothing = value is None or (isinstance(value, str) and not value)
    return nothing or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ in ("NAType", "NaTType")


def plain_rows(rows: Rows) -> Iterator[dict[str, JsonValue]]:
    """Rows as JSON.

    Raises:
        ValueError: JSON has no place for a value.
    """
    for number, row in enumerate(rows, 1):
        found: dict[str, JsonValue] = {}
        for name, value in row.items():
            try:
                found[name] = plain(value)
            except TypeError as error:
                raise ValueError(f"record {number}, field {name!r}: {error}; Parquet has (cache_type)") from None
        yield found


def image_references(cell: object, keep: KeepBytes | None) -> JsonValue:
    """A reference, a list of them, or None for no image at all.

    Args:
        cell: a reference, bytes, a `{"bytes", "path"}` as data sets have it, or several of these.
        keep: stores bytes; without it, images given as bytes cannot be asked about.

    Returns:
        What is no image is returned as it is; the check of the record refuses it.
    """
    match cell:
        case bytes():
            return _kept(cell, None, keep)
        case Mapping() if "bytes" in cell or "path" in cell:
            image = cast("Mapping[str, object]", cell)
            path = image.get("path")
            return _kept(image.get("bytes"), path if isinstance(path, str) else None, keep)
        case _:
            parts = _parts(cell)
    if parts is None:
        return json_cell(cell)
    references = [image_references(part, keep) for part in parts]
    return [reference for reference in references if reference is not None] or None


def _parts(cell: object) -> Iterable[object] | None:
    """The images of a cell that holds several: a list, an array of numpy, or a list as text."""
    found: object = json_cell(cell) if isinstance(cell, str) else cell
    if hasattr(found, "tolist"):
        found = cast("Any", found).tolist()
    return cast("Iterable[object]", found) if isinstance(found, (list, tuple)) else None


def _kept(data: object, path: str | None, keep: KeepBytes | None) -> JsonValue:
    if not isinstance(data, bytes):
        return path
    if keep is None:
        return {"bytes": len(data)}
    return blob_reference(keep(data), path or "")
