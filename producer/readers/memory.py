"""Records that a Python program has in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.records import RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from producer.readers.base import Reading


class MemoryReader:
    """Reads any iterable of mappings; relative image paths are relative to the working directory."""

    name = "run"

    def __init__(self, records: Iterable[Mapping[str, object]], asked: Reading) -> None:
        """Keep the records as JSON: later changes to them have no effect.

        Raises:
            InputError: a value has no form in JSON.
        """
        self.base = Path.cwd()
        self._texts: list[str] = []
        for number, record in enumerate(records, 1):
            try:
                self._texts.append(json.dumps(asked.cells.json(record)))
            except (ValueError, RecursionError) as error:
                raise InputError(f"record {number} is not JSON: it holds {error}") from None

    def fields(self) -> Sequence[str] | None:
        """Each mapping may have its own."""
        return None

    def __iter__(self) -> Iterator[RawRecord]:
        for number, text in enumerate(self._texts, 1):
            yield RawRecord(place=f"record {number}", value=json.loads(text))
