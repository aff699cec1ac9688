"""Parquet: a row is a record; its images are paths, bytes, or cells as Hugging Face writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producer.readers.arrow_rows import check_names, open_parquet, parquet_batches, records
from producer.readers.base import SourceReader
from producer.readers.files import refusals
from producer.readers.likeness import refuse_other_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persqa.records import RawRecord


class ParquetReader(SourceReader):
    """Reads batch by batch; batches are small where rows are large."""

    def fields(self) -> Sequence[str]:
        """The columns of its schema."""
        refuse_other_format(self._source, self._asked, "parquet")
        with refusals(self._source), open_parquet(self._source.path) as file:
            return file.schema_arrow.names

    def __iter__(self) -> Iterator[RawRecord]:
        refuse_other_format(self._source, self._asked, "parquet")
        with refusals(self._source), open_parquet(self._source.path) as file:
            check_names(file.schema_arrow, self._source)
            yield from records(parquet_batches(file), self._asked.cells)
