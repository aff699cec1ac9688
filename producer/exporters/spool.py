"""Spool: records in a temporary file, for formats that need all columns before the first row."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import JsonValue

_CHUNK = 1000
#: A record may hold its images as text.
_CHUNK_CHARACTERS = 32 * 2**20


class Spool:
    """Holds any number of records on disk while its `with` block runs."""

    def __init__(self, records: Iterable[dict[str, JsonValue]], folder: Path) -> None:
        """Write all records to a nameless temporary file in a folder."""
        self._file: IO[str] = tempfile.TemporaryFile("w+", encoding="ascii", dir=folder)  # noqa: SIM115
        self.columns: list[str] = []
        self.records = 0
        try:
            self._put_aside(records)
        except BaseException:
            self._file.close()
            raise

    def _put_aside(self, records: Iterable[dict[str, JsonValue]]) -> None:
        seen: set[str] = set()
        for record in records:
            self._file.write(json.dumps(record) + "\n")
            self.columns += [name for name in record if name not in seen]
            seen.update(record)
            self.records += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def chunks(self) -> Iterator[list[dict[str, JsonValue]]]:
        """The records in their order, a list at a time; every call starts again."""
        self._file.seek(0)
        chunk: list[dict[str, JsonValue]] = []
        size = 0
        for line in self._file:
            chunk.append(cast("dict[str, JsonValue]", json.loads(line)))
            size += len(line)
            if len(chunk) == _CHUNK or size >= _CHUNK_CHARACTERS:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk


def leveled(records: Iterable[dict[str, JsonValue]], column: str, folder: Path) -> Iterator[dict[str, JsonValue]]:
    """The records with one type in a column of lists: where no list has several values, each is its one value."""
    several = False

    def watched() -> Iterator[dict[str, JsonValue]]:
        nonlocal several
        for record in records:
            several = several or len(_list(record.get(column))) > 1
            yield record

    with Spool(watched(), folder) as spool:
        for chunk in spool.chunks():
            yield from chunk if several else (_with_one(record, column) for record in chunk)


def _with_one(record: dict[str, JsonValue], column: str) -> dict[str, JsonValue]:
    values = _list(record.get(column))
    return {**record, column: values[0]} if values else record


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def as_text(value: JsonValue) -> str | None:
    """The value as the text of a cell: text stays, null is None, all else is JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
