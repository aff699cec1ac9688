"""JSON arrays and JSON Lines: exactly what came in, since both are JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue


class JsonLinesExporter:
    """One record a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        number = 0
        with _open(self._path) as file:
            for number, record in enumerate(records, 1):  # noqa: B007 - read after the loop
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        return number


class JsonArrayExporter:
    """One array, a record a line inside it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        number = 0
        with _open(self._path) as file:
            file.write("[")
            for number, record in enumerate(records, 1):
                file.write((",\n" if number > 1 else "\n") + json.dumps(record, ensure_ascii=False))
            file.write("\n]\n")
        return number


def _open(path: Path) -> IO[str]:
    # A lone surrogate has no UTF-8 form; written as its escape it is the same JSON string.
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
