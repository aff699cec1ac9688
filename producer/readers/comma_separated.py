"""CSV: a header, then one record a row; every cell is text.

Only the columns that PersQA reads are parsed: lists and objects, as the CSV export and Python write them, and an empty
cell as null. All other cells stay exactly as they are.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, cast

from persqa.errors import InputError, RecordError
from persqa.reasons import Reason
from persqa.records import RawRecord
from producer.readers.base import SourceReader
from producer.readers.files import open_text, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import JsonValue


#: Longest cell, in characters: a quote that is never closed must not read a large file into memory.
_MOST_CHARACTERS = 64 * 2**20


class CsvReader(SourceReader):
    """Reads row by row; a row of the wrong length is one wrong record."""

    delimiter = ","

    def fields(self) -> Sequence[str]:
        """The header."""
        return next(self._rows())[1]

    def __iter__(self) -> Iterator[RawRecord]:
        rows = self._rows()
        _, header = next(rows)
        for line, row in rows:
            if row:
                yield self._record(header, row, f"line {line}")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The header, then every row, each with the number of its first line."""
        csv.field_size_limit(_MOST_CHARACTERS)
        line = 1
        with refusals(self._source), open_text(self._source.path, errors="surrogateescape", newline="") as file:
            # Strict: otherwise an unclosed quote would silently swallow the rest of the file.
            rows = csv.reader(file, delimiter=self.delimiter, strict=True)
            try:
                yield line, self._header(next(rows, list[str]()))
                line = rows.line_num + 1
                for row in rows:
                    yield line, row
                    line = rows.line_num + 1
            except csv.Error as error:
                raise InputError(f"{self._source.shown}: line {line}: not valid CSV: {error}") from None

    def _header(self, header: list[str]) -> list[str]:
        if not header:
            raise InputError(f"{self._source.shown}: expected a header with the names of the columns in line 1")
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise InputError(f"{self._source.shown}: the header names {', '.join(map(repr, twice))} more than once")
        if not all(_is_utf8(name) for name in header):
            raise InputError(f"{self._source.shown}: line 1 is not valid UTF-8")
        return header

    def _record(self, header: list[str], row: list[str], place: str) -> RawRecord:
        if len(row) != len(header):
            message = f"expected {len(header)} cells as in the header, found {len(row)}"
            return RawRecord(place=place, value=_legible(row), error=RecordError(Reason.BAD_ROW, message))
        if not all(_is_utf8(cell) for cell in row):
            return RawRecord(
                place=place, value=_legible(row), error=RecordError(Reason.NOT_JSON, "the row is not valid UTF-8")
            )
        fields: dict[str, JsonValue] = dict(zip(header, row, strict=True))
        for name in self._asked.columns.understood:
            if name in fields:
                fields[name] = self._asked.cells.understood(cast("str", fields[name]))
        return RawRecord(place=place, value=fields)


class TsvReader(CsvReader):
    """CSV with tabs."""

    delimiter = "\t"


def _is_utf8(cell: str) -> bool:
    if cell.isascii():
        return True
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _legible(row: list[str]) -> list[JsonValue]:
    """The cells, with escapes for bytes that are no UTF-8."""
    return [cell.encode(errors="surrogateescape").decode(errors="backslashreplace") for cell in row]
