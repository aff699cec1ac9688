# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
"""Parquet: a record a row, columns typed as the data is; images of the blob store, and copies, are bytes in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from producer.exporters.columns import Columns
from producer.exporters.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from producer.exporters.images import Cells


def write_parquet(records: Iterable[dict[str, JsonValue]], path: Path, cells: Cells | None) -> int:
    """Write all records; returns how many."""
    with Spool(records, path.parent) as spool:
        columns = Columns(spool, cells=cells)
        with pq.ParquetWriter(path, columns.schema, compression="zstd") as writer:
            for table in columns.tables():
                writer.write_table(table)
        return spool.records
