"""RecordIds: what names the records of a run, so that one is found at once by it; up to a bound of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Longest name of a record that is kept, and characters of all together.
_LONGEST_ID: Final = 200
_MOST_CHARACTERS: Final = 64_000_000


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of some records, folded, a line each; and the indexes of their first items."""

    lines: str
    indexes: Sequence[int]

    def found(self, folded: str) -> Iterator[int]:
        if folded in self.lines:
            for index, line in zip(self.indexes, self.lines.split("\n"), strict=True):
                if folded in line:
                    yield index


class RecordIds:
    """The names of all records, as far as there is room. It is locked as the columns are."""

    def __init__(self) -> None:
        self._parts: list[_Names] = []
        self._characters = 0

    def __len__(self) -> int:
        """How many parts there are."""
        return len(self._parts)

    def add(self, named: Iterable[tuple[int, str]]) -> None:
        """Add the names of records, with the indexes of their first items."""
        pairs = [(index, _line(name)) for index, name in named]
        if not pairs or self._characters > _MOST_CHARACTERS:
            return
        lines = "\n".join(line for _, line in pairs)
        self._characters += len(lines)
        first, last = pairs[0][0], pairs[-1][0]
        dense = last - first + 1 == len(pairs)
        indexes = range(first, last + 1) if dense else np.array([index for index, _ in pairs], np.int64)
        self._parts.append(_Names(lines, indexes))  # pyrefly: ignore[bad-argument-type] - an array does as well

    def found(self, text: str, *, after: int) -> list[int]:
        """The indexes of the first items of records whose name has the text, in all parts but the first so many."""
        folded = _line(text)
        return [int(index) for part in self._parts[after:] for index in part.found(folded)]

    def clear(self) -> None:
        """Forget all names."""
        self._parts, self._characters = [], 0


def _line(name: str) -> str:
    return " ".join(name[:_LONGEST_ID].casefold().split("\n"))
