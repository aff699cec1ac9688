"""What every reader is, and what it is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from producer.readers.passed import Passed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from persqa.records import Columns, RawRecord
    from producer.readers.cells import Cells

#: Standard input, as messages name it.
STANDARD_INPUT = "standard input"

#: Of each file of an input which it is, its size and when it was written; None for one that cannot be looked at.
Edition: TypeAlias = tuple[tuple[int, ...] | None, ...]


def edition_of(files: Iterable[Path]) -> Edition:
    """What changes when somebody changes one of the files."""
    return tuple(map(_edition_of_one, files))


def _edition_of_one(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Reader(Protocol):
    """An input that can be read more than once, always in the same order."""

    @property
    def name(self) -> str:
        """The default name of the run."""
        ...

    @property
    def base(self) -> Path:
        """The absolute folder of relative image paths."""
        ...

    @property
    def passed(self) -> Passed:
        """What the last reading saw and passed over; complete when that has come to its end."""
        ...

    def fields(self) -> Sequence[str] | None:
        """The names of the fields that every record has; None where each may have others, or nobody knows before.

        Raises:
            InputError: as of reading.
        """
        ...

    def edition(self) -> Edition:
        """What changes when somebody changes the files that all records are read from."""
        ...

    def __iter__(self) -> Iterator[RawRecord]:
        """The records in order; a wrong record carries its error.

        Raises:
            InputError: nothing more can be read, as the file is missing, broken or cut off, or a library is missing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file or folder.

    Attributes:
        path: of the file or folder.
        shown: its name in messages.
        name: as in `Reader`.
        base: as in `Reader`.
    """

    path: Path
    shown: str
    name: str
    base: Path

    @property
    def is_standard_input(self) -> bool:
        """Whether the path is that of a copy, which nobody knows."""
        return self.shown == STANDARD_INPUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The options of a reader of any format.

    Attributes:
        columns: the names of the fields that PersQA reads.
        cells: turns values that JSON does not know into JSON.
        split: the part of a Hugging Face data set; None where there is only one.
    """

    columns: Columns
    cells: Cells
    split: str | None = None


class SourceReader:
    """The base of readers of one file or folder."""

    def __init__(self, source: Source, asked: Reading) -> None:
        self._source = source
        self._asked = asked
        self.name = source.name
        self.base = source.base
        self.passed = Passed()

    def fields(self) -> Sequence[str] | None:
        """As in `Reader`: most formats have no header."""
        return None

    def edition(self) -> Edition:
        """Of the one file."""
        return edition_of([self._source.path])
