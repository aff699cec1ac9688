"""JSON arrays and JSON Lines: exactly what came in, since both are JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from producer.exporters.text_files import text_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from producer.exporters.images import Blobs


class JsonLinesExporter:
    """One record a line."""

    def __init__(self, path: Path, *, blobs: Blobs | None = None) -> None:  # noqa: ARG002 - JSON holds no bytes
        self._path = path

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        number = 0
        with text_file(self._path, newline="\n") as file:
            for number, record in enumerate(records, 1):  # noqa: B007 - read after the loop
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        return number


class JsonArrayExporter:
    """One array, a record a line inside it."""

    def __init__(self, path: Path, *, blobs: Blobs | None = None) -> None:  # noqa: ARG002 - JSON holds no bytes
        self._path = path

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        number = 0
        with text_file(self._path, newline="\n") as file:
            file.write("[")
            for number, record in enumerate(records, 1):
                file.write((",\n" if number > 1 else "\n") + json.dumps(record, ensure_ascii=False))
            file.write("\n]\n")
        return number
