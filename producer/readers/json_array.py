"""A JSON array, read element by element in bounded memory.

The standard library's decoder parses each element. Unlike streaming parsers it takes whatever `json.load` takes
(large integers, lone surrogates, NaN), so a record means the same in an array and on a line.
"""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING

from persqa.errors import InputError
from persqa.records import RawRecord
from persqa.words import option
from producer.readers.base import SourceReader
from producer.readers.files import open_text, refusals
from producer.readers.likeness import refuse_other_format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue


_CHUNK_CHARACTERS = 1 << 20
_SPACE = re.compile(r"[ \t\n\r]*")
# A syntax error this close to the end of the text may only mean that more must be read.
_MARGIN_CHARACTERS = 64


class JsonArrayReader(SourceReader):
    """Reads the elements of one top-level array."""

    def __iter__(self) -> Iterator[RawRecord]:
        try:
            refuse_other_format(self._source, self._asked, "json")
            with refusals(self._source), open_text(self._source.path) as file:
                for number, value in enumerate(Elements(file), 1):
                    yield RawRecord(place=f"record {number}", value=value)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self._source.shown}: {error}") from None


class Elements:
    """The elements of the array in a text file; a ValueError says what is wrong with the file."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._decoder = json.JSONDecoder()

    def __iter__(self) -> Iterator[JsonValue]:
        if (first := self._peek()) != "[":
            if not first:
                raise ValueError("expected a JSON array, and the file is empty")
            raise ValueError(f"expected a JSON array; if it has one object a line: {option('input_format')} jsonl")
        self._at += 1
        number = 0
        while self._peek() != "]":
            if number:
                self._expect_comma(number)
            number += 1
            yield self._element(number)
        self._at += 1
        if self._peek():
            raise ValueError(f"text after the array's end, which comes after record {number}")

    def _peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # pyrefly: ignore[missing-attribute] - matches always
            if self._at < len(self._text) or not self._read():
                return self._text[self._at : self._at + 1]

    def _expect_comma(self, number: int) -> None:
        if self._peek() != ",":
            raise ValueError(f"expected a comma or the array's end after record {number}")
        self._at += 1
        self._peek()

    def _element(self, number: int) -> JsonValue:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                unfinished = error.pos >= len(self._text) - _MARGIN_CHARACTERS or "Unterminated" in error.msg
                if unfinished and self._read():
                    continue
                raise ValueError(f"record {number} is not valid JSON: {error.msg}") from None
            # A number near the end of the text may go on: `1`, `1.` and `1.5` all begin `1.5e3`.
            may_go_on = end >= len(self._text) - _MARGIN_CHARACTERS and self._text[end : end + 1] not in (",", "]")
            if may_go_on and self._read():
                continue
            self._at = end
            return value

    def _read(self) -> bool:
        """Read more text and drop what is behind; returns whether there was more."""
        # As much again as is left: otherwise a long record would be parsed once for each of its chunks.
        more = self._file.read(max(_CHUNK_CHARACTERS, len(self._text) - self._at))
        if more:
            self._text = self._text[self._at :] + more
            self._at = 0
        return bool(more)
