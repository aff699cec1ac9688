"""CSV: a header, then one record a row; every cell is text.

Only the columns that PersQA reads are parsed: lists and objects, as the CSV export and Python write them, and an empty
cell as null. All other cells stay exactly as they are.

Spreadsheet programs write cells that nobody has filled: columns without a name, cells behind the last column, rows
without any value. They are passed over as long as they are empty.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from persqa.errors import InputError, RecordError
from persqa.reasons import Reason
from persqa.records import RawRecord
from producer.readers.base import SourceReader
from producer.readers.files import open_text, refusals
from producer.readers.likeness import refuse_other_format
from producer.readers.passed import Passed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import JsonValue


#: Longest cell, in characters: a quote that is never closed must not read a large file into memory.
_MOST_CHARACTERS = 64 * 2**20


class CsvReader(SourceReader):
    """Reads row by row; a row of the wrong length is one wrong record."""

    delimiter: ClassVar[str] = ","
    _format: ClassVar[Literal["csv", "tsv"]] = "csv"

    def fields(self) -> Sequence[str]:
        """The header, without columns that have no name."""
        return [name for name in next(self._rows())[1] if name]

    def __iter__(self) -> Iterator[RawRecord]:
        self.passed = Passed()
        rows = self._rows()
        _, header = next(rows)
        #: The places of columns that have neither a name nor, so far, a cell with something in it.
        empty = {place for place, name in enumerate(header, 1) if not name}
        for line, row in rows:
            place = f"line {line}"
            if any(row):
                empty -= {column for column in empty if any(row[column - 1 : column])}
                yield self._record(header, self._without_empty_end(row, len(header), place), place)
            else:
                self.passed.add("row without a value" if row else "blank line", place)
        for column in sorted(empty):
            self.passed.add("empty column without a name", f"column {column}")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The header, then every row, each with the number of its first line."""
        refuse_other_format(self._source, self._asked, self._format)
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
        if not any(header):
            raise InputError(f"{self._source.shown}: expected a header with the names of the columns in line 1")
        names = [name or _name_of(header, column) for column, name in enumerate(header, 1)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{self._source.shown}: the header names {', '.join(map(repr, twice))} more than once")
        if not all(_is_utf8(name) for name in header):
            raise InputError(f"{self._source.shown}: line 1 is not valid UTF-8")
        return header

    def _without_empty_end(self, row: list[str], width: int, place: str) -> list[str]:
        """The row without empty cells behind the last column."""
        if len(row) <= width or any(row[width:]):
            return row
        self.passed.add("empty cell behind the last column", place, len(row) - width)
        return row[:width]

    def _record(self, header: list[str], row: list[str], place: str) -> RawRecord:
        if len(row) != len(header):
            message = f"expected {len(header)} cells as in the header, found {len(row)}"
            return RawRecord(place=place, value=_legible(row), error=RecordError(Reason.BAD_ROW, message))
        if not all(_is_utf8(cell) for cell in row):
            return RawRecord(
                place=place, value=_legible(row), error=RecordError(Reason.NOT_JSON, "the row is not valid UTF-8")
            )
        fields: dict[str, JsonValue] = {
            name or _name_of(header, column): cell
            for column, (name, cell) in enumerate(zip(header, row, strict=True), 1)
            if name or cell
        }
        for name in self._asked.columns.understood:
            if name in fields:
                fields[name] = self._asked.cells.understood(cast("str", fields[name]))
        return RawRecord(place=place, value=fields)


class TsvReader(CsvReader):
    """CSV with tabs."""

    delimiter = "\t"
    _format = "tsv"


def _name_of(header: list[str], column: int) -> str:
    """The field of a column without a name that is not empty: an index, usually, which has none at all."""
    return "" if header.count("") == 1 else f"column {column}"


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
