"""Rows of Arrow batches as records; Parquet and Hugging Face data sets both come as such batches.

pyarrow takes long to load, so only reading loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from persqa.errors import InputError, RecordError
from persqa.reasons import Reason
from persqa.records import RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import IO

    import pyarrow as pa
    import pyarrow.parquet as pq

    from producer.readers.base import Source
    from producer.readers.cells import Cells

#: How many rows are Python values at once, and how many bytes.
_ROWS = 256
_BYTES = 4 * 2**20
#: Size of one read from a column chunk; without it, whole row groups are read.
_BUFFER_BYTES = 1 << 20


def rows_for_bytes(rows: int, size_bytes: int) -> int:
    """How many rows of a table of this size to hold at once."""
    return max(1, min(_ROWS, _BYTES * rows // max(1, size_bytes)))


def check_names(schema: pa.Schema, source: Source) -> None:
    """Refuse columns of the same name: they would be one field.

    Raises:
        InputError: two columns have the same name.
    """
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise InputError(f"{source.shown}: there is more than one column {', '.join(map(repr, twice))}")


def records(batches: Iterable[pa.RecordBatch], cells: Cells) -> Iterator[RawRecord]:
    """The rows of all batches, counted from 1."""
    number = 0
    for batch in batches:
        step = rows_for_bytes(batch.num_rows, batch.nbytes)
        for start in range(0, batch.num_rows, step):
            for fields, error in _rows(batch.slice(start, step)):
                number += 1
                yield cells.record(f"row {number}", fields, error)


def _rows(batch: pa.RecordBatch) -> Iterable[tuple[dict[str, object], RecordError | None]]:
    import pyarrow as pa

    try:
        return [(cast("dict[str, object]", row), None) for row in batch.to_pylist()]
    except (ValueError, OverflowError, pa.ArrowException):
        # One value has no form in Python, and only its own row is wrong.
        return [_one_row(batch, index) for index in range(batch.num_rows)]


def _one_row(batch: pa.RecordBatch, index: int) -> tuple[dict[str, object], RecordError | None]:
    import pyarrow as pa

    fields: dict[str, object] = {}
    error: RecordError | None = None
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            fields[name] = column[index].as_py()  # pyrefly: ignore[unknown-argument-type, unknown-attribute-access]
        except (ValueError, OverflowError, pa.ArrowException) as problem:
            fields[name] = None
            error = error or RecordError(Reason.BAD_VALUE, f"the field {name!r} cannot be read: {problem}")
    return fields, error


def open_parquet(file: Path | IO[bytes]) -> pq.ParquetFile:
    """Open a Parquet file for reading in bounded memory."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)


def parquet_batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file; batches are small where rows are large."""
    for index in range(file.num_row_groups):
        group = file.metadata.row_group(index)
        rows = rows_for_bytes(group.num_rows, group.total_byte_size)
        yield from file.iter_batches(batch_size=rows, row_groups=[index], use_threads=False)
