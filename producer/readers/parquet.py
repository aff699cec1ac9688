# pyright: reportUnknownMemberType=false
# The stubs of pyarrow leave some arguments untyped.
"""Parquet: a row is a record; images stand in it as paths, as bytes, or as Hugging Face keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producer.readers.arrow_rows import check_names, open_parquet, parquet_batches, records
from producer.readers.base import SourceReader
from producer.readers.files import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.records import RawRecord


class ParquetReader(SourceReader):
    """Reads batch by batch, few rows at a time where they are large."""

    def __iter__(self) -> Iterator[RawRecord]:
        """The records in order.

        Raises:
            InputError: the file cannot be read, or is no Parquet.
        """
        with refusals(self._source), open_parquet(self._source.path) as file:
            check_names(file.schema_arrow, self._source)
            yield from records(parquet_batches(file), self._asked.cells)
