"""JSON, JSON Lines and CSV: text files, compressed where the suffix says so.

JSON is exactly what came in. In CSV, text and numbers stay as they are; lists and objects become JSON in their cell.
Text holds no bytes, so blob references stay references.
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


def write_json_lines(records: Iterable[dict[str, JsonValue]], path: Path, _cells: object) -> int:
    """Write one record a line; returns how many."""
    number = 0
    with _create_text(path) as file:
        for number, record in enumerate(records, 1):  # noqa: B007 - read after the loop
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return number


def write_json_array(records: Iterable[dict[str, JsonValue]], path: Path, _cells: object) -> int:
    """Write one array with a record a line; returns how many."""
    number = 0
    with _create_text(path) as file:
        file.write("[")
        for number, record in enumerate(records, 1):
            file.write((",\n" if number > 1 else "\n") + json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")
    return number


def write_csv(records: Iterable[dict[str, JsonValue]], path: Path, _cells: object) -> int:
    """Write one record a row, below a header with every column that any record has; returns how many."""
    with Spool(records, path.parent) as spool, _create_text(path, newline="") as file:
        rows = csv.DictWriter(file, spool.columns)
        rows.writeheader()
        for chunk in spool.chunks():
            rows.writerows({name: as_text(value) for name, value in record.items()} for record in chunk)
        return spool.records


@contextmanager
def _create_text(path: Path, *, newline: str = "\n") -> Generator[IO[str]]:
    # A lone surrogate has no UTF-8 form; its escape is written, which in JSON is the same string.
    with (
        create_bytes(path) as file,
        io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline=newline) as text,
    ):
        yield text
