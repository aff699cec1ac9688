"""Parquet: a record a row, columns typed as the data is; images of the blob store, and copies, are bytes in it."""

from __future__ import annotations

import json
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
        schema = columns.schema
        if cells is not None and cells.decoded and columns.images:
            schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": _features(columns)}})})
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for table in columns.tables():
                writer.write_table(table)
        return spool.records - columns.left_out


def _features(columns: Columns) -> dict[str, object]:
    """What `datasets` is to decode, in its own words; it finds the types of all other columns itself."""
    image = {"_type": "Image"}
    return {name: {"_type": "List", "feature": image} if several else image for name, several in columns.images.items()}
