"""Spool: records put aside on disk, for formats that must know all columns before the first row."""

from __future__ import annotations

import json
import tempfile
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import JsonValue

_CHUNK = 1000


class Spool:
    """Holds any number of records in a temporary file; lives as long as the `with` block."""

    def __init__(self, records: Iterable[dict[str, JsonValue]], folder: Path) -> None:
        """Write the records down.

        Args:
            records: all of them.
            folder: where the temporary file goes; it has no name there.
        """
        self._file: IO[str] = tempfile.TemporaryFile("w+", encoding="ascii", dir=folder)  # noqa: SIM115
        self.columns: list[str] = []
        self.records = 0
        try:
            self._put_aside(records)
        except BaseException:
            self._file.close()
            raise

    def _put_aside(self, records: Iterable[dict[str, JsonValue]]) -> None:
        seen: set[str] = set()
        for record in records:
            self._file.write(json.dumps(record) + "\n")
            self.columns += [name for name in record if name not in seen]
            seen.update(record)
            self.records += 1

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Drop the file."""
        self._file.close()

    def chunks(self) -> Iterator[list[dict[str, JsonValue]]]:
        """The records in their order, some at a time; can be asked for again."""
        self._file.seek(0)
        while lines := list(islice(self._file, _CHUNK)):
            yield [cast("dict[str, JsonValue]", json.loads(line)) for line in lines]


def as_text(value: JsonValue) -> str | None:
    """A value as the text of a cell: text as it is, null as nothing, all else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
