"""Cells: values that JSON lacks become JSON, in the same way for every format.

Bytes go into the blob store, and a reference stays; a cell `{"bytes", "path"}` is an image as Hugging Face keeps it.
Dates and times become ISO 8601, spans of time seconds, decimals, UUIDs and paths text; tuples and NumPy arrays become
lists. NaN and the infinities stay, as in the JSON readers. Anything else makes its record invalid.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID
from warnings import catch_warnings, simplefilter

from persqa.blobs import BlobStore, blob_reference
from persqa.errors import RecordError
from persqa.reasons import Reason
from persqa.records import RawRecord

if TYPE_CHECKING:
    from pydantic import JsonValue

#: The keys of an image, a sound or a video in a Hugging Face data set.
_MEDIA = frozenset({"bytes", "path"})
#: How much of the text of a value is kept that has no form in JSON, in characters.
_SHOWN_CHARACTERS = 200
#: Most commas in the text of a list of Python: its parser takes much memory for each part.
_MOST_PARTS = 100_000


class Cells:
    """Turns values into JSON, with bytes in a blob store."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def record(self, place: str, fields: Mapping[str, object], error: RecordError | None = None) -> RawRecord:
        """A record of these fields; it carries the given error, or one about a field that has no form in JSON."""
        value: dict[str, JsonValue] = {}
        for name, given in fields.items():
            try:
                value[name] = self.json(given)
            except (ValueError, RecursionError) as problem:
                value[name] = repr(given)[:_SHOWN_CHARACTERS]
                error = error or RecordError(Reason.BAD_VALUE, f"the field {name!r} holds {problem}")
        return RawRecord(place=place, value=value, error=error)

    def json(self, value: object) -> JsonValue:
        """One value as JSON.

        Raises:
            ValueError: it has no form in JSON; the message says what it is.
        """
        match value:
            case None | bool() | int() | float() | str():
                return value
            case bytes() | bytearray():
                return self.blob(bytes(value))
            case Mapping():
                return self._object(cast("Mapping[object, object]", value))
            case list() | tuple():
                return [self.json(inner) for inner in cast("Iterable[object]", value)]
            case _:
                return self._plain(value)

    def understood(self, text: str) -> JsonValue:
        """A cell of text in a column that has a meaning: an empty one is null, a list or an object in it is one.

        Both are taken as JSON, and as Python writes them, which is how data frames get into CSV files.
        """
        if not text:
            return None
        if text[0] in "[{(":
            with suppress(ValueError, RecursionError):
                return cast("JsonValue", json.loads(text))
            with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                return self.json(_python_value(text))
        return text

    def blob(self, data: bytes, name: str = "") -> str:
        """Put bytes into the blob store; returns the reference to them."""
        return blob_reference(self._blobs.put(data), name)

    def _object(self, value: Mapping[object, object]) -> JsonValue:
        if value.keys() == _MEDIA:
            data, path = value["bytes"], value["path"]
            if isinstance(data, bytes):
                return self.blob(data, path if isinstance(path, str) else "")
            if data is None:
                return self.json(path)
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"an object whose key {name!r} is not text")
        return {cast("str", name): self.json(inner) for name, inner in value.items()}

    def _plain(self, value: object) -> JsonValue:
        if isinstance(value, datetime | date | time):
            # pandas' missing time is not equal to itself.
            return value.isoformat() if value == value else None
        if isinstance(value, timedelta):
            return value.total_seconds()
        if isinstance(value, Decimal | UUID | PurePath):
            return str(value)
        plain = _without_numpy(value)
        if plain is value or type(plain) is type(value):
            raise ValueError(f"a value of the type {type(value).__name__}, which JSON has no form for")
        return self.json(plain)


def _python_value(text: str) -> object:
    """The value that Python writes so.

    Raises:
        ValueError: Python does not write it so, though it may read it: it makes one text of two beside each other.
    """
    if text.count(",") > _MOST_PARTS:
        raise ValueError("too many parts")
    with catch_warnings():
        simplefilter("ignore")
        value: object = ast.literal_eval(text)
    if repr(value) != text:
        raise ValueError("not as Python writes it")
    return value


def _without_numpy(value: Any) -> object:
    """NumPy arrays and scalars as Python values; all else unchanged."""
    if not hasattr(value, "tolist"):
        return value
    kind: object = getattr(getattr(value, "dtype", None), "kind", None)
    # Times in nanoseconds would become plain numbers.
    return value.astype(f"{kind}8[us]").tolist() if kind in ("M", "m") else value.tolist()
