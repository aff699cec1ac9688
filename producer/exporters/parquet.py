# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
"""Parquet: a record a row, columns typed as the data is; images of the blob store are bytes again."""

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


def write_parquet(records: Iterable[dict[str, JsonValue]], path: Path, blobs: Blobs | None) -> int:
    """Write all records; returns how many."""
    with Spool(records, path.parent) as spool:
        columns = Columns(spool, blobs=blobs)
        with pq.ParquetWriter(path, columns.schema, compression="zstd") as writer:
            for table in columns.tables():
                writer.write_table(table)
        return spool.records
