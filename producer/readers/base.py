"""What every reader offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.records import RawRecord


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
