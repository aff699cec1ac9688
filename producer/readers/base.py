"""What every reader offers, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.records import Columns, RawRecord
    from producer.readers.cells import Cells


class Reader(Protocol):
    """An input that can be read more than once, always in the same order."""

    @property
    def name(self) -> str:
        """A name for the run, where the user gives none."""
        ...

    @property
    def base(self) -> Path:
        """The absolute folder that relative image paths are relative to."""
        ...

    def __iter__(self) -> Iterator[RawRecord]:
        """The records in order; what is wrong with one of them is said in it.

        Raises:
            InputError: nothing beyond this point can be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one input lies.

    Attributes:
        path: of the file or folder.
        shown: how messages call it.
        name: a name for the run.
        base: as in `Reader`.
    """

    path: Path
    shown: str
    name: str
    base: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is asked of a reader, whatever its format.

    Attributes:
        columns: which fields mean what.
        cells: turns values that JSON does not know into JSON.
        split: the part of a Hugging Face data set; None where there is only one.
    """

    columns: Columns
    cells: Cells
    split: str | None = None


class SourceReader:
    """What readers of one file or folder have in common."""

    def __init__(self, source: Source, asked: Reading) -> None:
        self._source = source
        self._asked = asked
        self.name = source.name
        self.base = source.base
