"""Readers turn an input into raw records, streaming; one file per format, chosen by suffix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from producer.readers.json_array import JsonArrayReader
from producer.readers.json_lines import JsonLinesReader
from producer.readers.memory import MemoryReader

if TYPE_CHECKING:
    from producer.readers.base import Reader

__all__ = ["open_input"]

_BY_SUFFIX: dict[str, type[JsonArrayReader] | type[JsonLinesReader]] = {
    ".json": JsonArrayReader,
    ".jsonl": JsonLinesReader,
    ".ndjson": JsonLinesReader,
}


def open_input(data: str | Path | Iterable[Mapping[str, object]]) -> Reader:
    """Choose the reader for a path, or for records in memory.

    Raises:
        InputError: the path is not a file, or of a format nobody here can read.
    """
    if not isinstance(data, str | Path):
        return MemoryReader(data)
    path = Path(data)
    reader = _BY_SUFFIX.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: the format is chosen by suffix, use one of {', '.join(_BY_SUFFIX)}")
    if not path.is_file():
        raise InputError(f"{path}: " + ("not a file" if path.exists() else "no such file"))
    return reader(path)
