"""Records that a Python program makes."""

from __future__ import annotations

import json
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.records import RawRecord
from producer.readers.passed import Passed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from producer.readers.base import Edition, Reading

#: More than so many bytes of records are put aside.
_HELD_BYTES = 4 * 2**20


class MemoryReader:
    """Reads any iterable of mappings; relative image paths are relative to the working directory."""

    name = "run"

    def __init__(self, records: Iterable[Mapping[str, object]], asked: Reading) -> None:
        """Keep the records as lines of JSON: later changes to them have no effect.

        Raises:
            InputError: a value has no form in JSON, or there is no room for the records.
        """
        self.base = Path.cwd()
        #: Each record is one of its own: nothing is passed over.
        self.passed = Passed()
        self._lines = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115 - as long as the reader
        weakref.finalize(self, self._lines.close)
        for number, record in enumerate(records, 1):
            try:
                self._lines.write(json.dumps(asked.cells.json(record)).encode() + b"\n")
            except (ValueError, RecursionError) as error:
                raise InputError(f"record {number} is not JSON: it holds {error}") from None
            except OSError as error:
                raise InputError(f"the records cannot be put aside: {error.strerror or error}") from error

    def fields(self) -> Sequence[str] | None:
        """Each mapping may have its own."""
        return None

    def edition(self) -> Edition:
        """As in `Reader`: nobody else has the copies."""
        return ()

    def __iter__(self) -> Iterator[RawRecord]:
        self._lines.seek(0)
        for number, line in enumerate(self._lines, 1):
            yield RawRecord(place=f"record {number}", value=json.loads(line))
