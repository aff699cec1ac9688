"""JSON Lines: one record a line; blank lines are passed over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from persqa.complaints import not_json
from persqa.errors import RecordError
from persqa.reasons import Reason
from persqa.records import RawRecord
from producer.compression import open_bytes
from producer.readers.base import SourceReader
from producer.readers.files import BYTE_ORDER_MARK, refusals
from producer.readers.likeness import refuse_other_format
from producer.readers.passed import Passed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue


_ENDS = ("\n", "\r\n", "")
_read = json.JSONDecoder().raw_decode


class JsonLinesReader(SourceReader):
    """Reads line by line; a broken line is one wrong record."""

    def __iter__(self) -> Iterator[RawRecord]:
        refuse_other_format(self._source, self._asked, "jsonl")
        self.passed = Passed()
        with refusals(self._source), open_bytes(self._source.path) as file:
            for number, line in enumerate(file, 1):
                # Some editors begin a UTF-8 file with a byte order mark, and files are joined.
                text = line.removeprefix(BYTE_ORDER_MARK)
                if text.strip():
                    yield record_of(text, f"line {number}")
                else:
                    self.passed.add("blank line", f"line {number}")


def record_of(line: bytes, place: str) -> RawRecord:
    """The record of one line; a broken one carries its error."""
    try:
        return RawRecord(place=place, value=_value(line.decode()))
    except (ValueError, RecursionError) as error:
        # The line is kept as text, so that the ledger shows it.
        text = line.decode(errors="backslashreplace").rstrip("\r\n")
        return RawRecord(place=place, value=text, error=RecordError(Reason.NOT_JSON, not_json(error)))


def _value(text: str) -> JsonValue:
    """The same as `json.loads` gives, which first looks for white space around the value."""
    try:
        value, end = _read(text)
    except ValueError:
        return json.loads(text)
    return value if text[end:] in _ENDS else json.loads(text)
