"""CSV: text and numbers as they are, lists and objects as JSON in their cell."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from producer.exporters.spool import Spool, as_text
from producer.exporters.text_files import text_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from producer.exporters.images import Blobs


class CsvExporter:
    """One record a row, under a header with every column that any record has."""

    def __init__(self, path: Path, *, blobs: Blobs | None = None) -> None:  # noqa: ARG002 - text holds no bytes
        self._path = path

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        with Spool(records, self._path.parent) as spool, text_file(self._path, newline="") as file:
            rows = csv.DictWriter(file, spool.columns)
            rows.writeheader()
            for chunk in spool.chunks():
                rows.writerows({name: as_text(value) for name, value in record.items()} for record in chunk)
            return spool.records
