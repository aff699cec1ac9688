# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
"""Parquet: columns typed as the data is; images of the blob store are bytes again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from producer.exporters.columns import Columns
from producer.exporters.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from producer.exporters.images import Blobs


class ParquetExporter:
    """One record a row."""

    def __init__(self, path: Path, *, blobs: Blobs | None = None) -> None:
        self._path = path
        self._blobs = blobs

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        with Spool(records, self._path.parent) as spool:
            columns = Columns(spool, blobs=self._blobs)
            with pq.ParquetWriter(self._path, columns.schema, compression="zstd") as writer:
                for table in columns.tables():
                    writer.write_table(table)
            return spool.records
