"""Standard input: copied to a temporary file, since a run reads its input twice."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from producer.readers.base import STANDARD_INPUT, Reader, Source
from producer.readers.files import ScratchFile, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persqa.records import RawRecord
    from producer.readers.base import Edition
    from producer.readers.passed import Passed


class StandardInputReader:
    """Copies standard input at the first reading, and reads the copy with the reader of its format."""

    name = "stdin"

    def __init__(self, open_file: Callable[[Source], Reader], *, suffix: str) -> None:
        """Keep the format's reader, and the suffix that says how the input is packed; nothing is read yet."""
        self._open_file = open_file
        self._suffix = suffix
        self._reader: Reader | None = None
        self.base = Path.cwd()

    @property
    def passed(self) -> Passed:
        """As the reader of the copy says."""
        return self._copy().passed

    def fields(self) -> Sequence[str] | None:
        """As the reader of the copy says."""
        return self._copy().fields()

    def edition(self) -> Edition:
        """As in `Reader`: nobody else has the copy."""
        return ()

    def __iter__(self) -> Iterator[RawRecord]:
        return iter(self._copy())

    def _copy(self) -> Reader:
        """The reader of the copy, which the first call makes."""
        if self._reader is None:
            source = Source(path=Path("-"), shown=STANDARD_INPUT, name=self.name, base=self.base)
            with refusals(source):
                self._file = _put_aside(self._suffix)
            self._reader = self._open_file(replace(source, path=self._file.path))
        return self._reader


def _put_aside(suffix: str) -> ScratchFile:
    kept = ScratchFile(suffix)
    with kept.path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return kept
