# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false, reportArgumentType=false
# pyright: reportCallIssue=false
# The stubs of pyarrow type arrays by element, which is known here only at run time.
"""Parquet: columns typed as the data is; one whose values have no common type holds JSON text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from persqa.store.text import storable
from producer.exporters.spool import Spool, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue


class ParquetExporter:
    """One record a row."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many."""
        with Spool(records, self._path.parent) as spool:
            schema = pa.schema([pa.field(name, _column_type(spool, name)) for name in spool.columns])
            with pq.ParquetWriter(self._path, schema, compression="zstd") as writer:
                for chunk in spool.chunks():
                    arrays = [_array([record.get(field.name) for record in chunk], field.type) for field in schema]
                    writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            return spool.records


def _column_type(spool: Spool, name: str) -> pa.DataType:
    """The type that holds the column's values in every chunk, or text."""
    common = pa.schema([pa.field(name, pa.null())])
    try:
        for chunk in spool.chunks():
            found = pa.array([record.get(name) for record in chunk]).type
            common = pa.unify_schemas([common, pa.schema([pa.field(name, found)])], promote_options="default")
    except (pa.ArrowException, UnicodeError, OverflowError):
        return pa.string()
    found = common.field(name).type
    return pa.string() if found in (pa.null(), pa.struct([])) else found


def _array(values: list[JsonValue], column_type: pa.DataType) -> pa.Array:
    if column_type == pa.string():
        texts = [as_text(value) for value in values]
        return pa.array([text if text is None else storable(text) for text in texts], column_type)
    return pa.array(values, column_type)
