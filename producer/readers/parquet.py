# pyright: reportUnknownMemberType=false
# The stubs of pyarrow leave some arguments untyped.
"""Parquet: a row is a record; images stand in it as paths, as bytes, or as Hugging Face keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from producer.readers.arrow_rows import check_names, records, rows_for_bytes
from producer.readers.files import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.records import RawRecord
    from producer.readers.base import Reading, Source

#: Column chunks are read in pieces of this size; without it, whole row groups are.
_BUFFER_BYTES = 1 << 20


class ParquetReader:
    """Reads batch by batch, few rows at a time where they are large."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self._source = source
        self._cells = reading.cells
        self.name = source.name
        self.base = source.base

    def __iter__(self) -> Iterator[RawRecord]:
        """The records in order.

        Raises:
            InputError: the file cannot be read, or is no Parquet.
        """
        with reading(self._source), pq.ParquetFile(self._source.path, buffer_size=_BUFFER_BYTES) as file:
            check_names(file.schema_arrow, self._source)
            yield from records(_batches(file), self._cells)


def _batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    for index in range(file.num_row_groups):
        group = file.metadata.row_group(index)
        rows = rows_for_bytes(group.num_rows, group.total_byte_size)
        yield from file.iter_batches(batch_size=rows, row_groups=[index], use_threads=False)
