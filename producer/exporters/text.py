"""JSON, JSON Lines and CSV: text files, compressed where the suffix says so.

JSON is exactly what came in. In CSV, text and numbers are as they are, and lists and objects are JSON in their cell.
"""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from producer.compression import create_bytes
from producer.exporters.spool import Spool, as_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pydantic import JsonValue

    from producer.exporters.images import Blobs


class _TextExporter:
    def __init__(self, path: Path, *, blobs: Blobs | None = None) -> None:  # noqa: ARG002 - text holds no bytes
        self._path = path

    @contextmanager
    def _file(self, *, newline: str = "\n") -> Generator[IO[str]]:
        """The file, open for writing."""
        # A lone surrogate has no UTF-8 form; its escape is written, which in JSON is the same string.
        with (
            create_bytes(self._path) as file,
            io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline=newline) as text,
        ):
            yield text


class JsonLinesExporter(_TextExporter):
    """One record a line."""

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        number = 0
        with self._file() as file:
            for number, record in enumerate(records, 1):  # noqa: B007 - read after the loop
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        return number


class JsonArrayExporter(_TextExporter):
    """One array, a record a line inside it."""

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        number = 0
        with self._file() as file:
            file.write("[")
            for number, record in enumerate(records, 1):
                file.write((",\n" if number > 1 else "\n") + json.dumps(record, ensure_ascii=False))
            file.write("\n]\n")
        return number


class CsvExporter(_TextExporter):
    """One record a row, under a header with every column that any record has."""

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        with Spool(records, self._path.parent) as spool, self._file(newline="") as file:
            rows = csv.DictWriter(file, spool.columns)
            rows.writeheader()
            for chunk in spool.chunks():
                rows.writerows({name: as_text(value) for name, value in record.items()} for record in chunk)
            return spool.records
