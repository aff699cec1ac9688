"""Search: where a run's items say a text; found part by part in the background, and shown as far as it is found."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from persqa.items import MAX_ITEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from persqa.runs import RunId
    from persqa.store.text_search import TextSearch
    from producer.web.catalog.columns import Columns, Indexes, Mask

#: Indexes that one statement looks through, and items that changed meanwhile.
_AT_ONCE: Final = 1 << 16
_AGAIN_AT_ONCE: Final = 2000
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
    """What names the records of a run, so that one is found at once by it; up to a bound of memory."""

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
        self._parts.append(_Names(lines, indexes))  # pyright: ignore[reportArgumentType] - an array does as well

    def found(self, text: str, *, after: int) -> list[int]:
        """The indexes of the first items of records whose name has the text, in all parts but the first so many."""
        folded = _line(text)
        return [int(index) for part in self._parts[after:] for index in part.found(folded)]

    def clear(self) -> None:
        """Forget all names."""
        self._parts, self._characters = [], 0


class Search:
    """One text in one run. It is locked as the columns are; only `step` works without the lock in between."""

    def __init__(self, text: str, run_id: RunId, columns: Columns, ids: RecordIds, *, questions: int) -> None:
        """Begin with what is found at once.

        Args:
            text: what is looked for.
            run_id: the run.
            columns: its items.
            ids: what names its records.
            questions: how many questions it asks of each record.
        """
        self.text = text
        self.started = time.monotonic()
        #: Goes up whenever something is found, or no longer.
        self.version = 0
        self._run_id, self._columns, self._ids, self._questions = run_id, columns, ids, questions
        self._said = np.zeros(len(columns), np.bool_)
        self._named = np.zeros(len(columns), np.bool_)
        self._next = 0
        self._ids_seen = 0
        self._again: deque[Indexes] = deque()

    @property
    def place(self) -> tuple[int, int]:
        """How many indexes were looked through, and of how many."""
        return min(self._next, len(self._columns)), len(self._columns)

    @property
    def is_done(self) -> bool:
        """Whether everything that is there was looked through."""
        return self._next >= len(self._columns) and not self._again

    @property
    def is_named(self) -> bool:
        """Whether it was found in what names a record, or is the number of an item."""
        self._reach()
        self._look_at_names()
        return bool(self._named.any())

    def found(self) -> Mask:
        """Where the text was found so far."""
        self._reach()
        self._look_at_names()
        return self._said | self._named

    def changed(self, indexes: Indexes) -> None:
        """Look again where items have changed."""
        known = indexes[indexes < self._next]
        if len(known):
            self._again.append(known)

    def step(self, rows: TextSearch, lock: threading.RLock) -> None:
        """Look through a part of the run.

        Raises:
            StoreUnavailable: the database does not answer; the same part is looked through again.
        """
        with lock:
            self._reach()
            again = self._again[0][:_AGAIN_AT_ONCE] if self._again else None
            first, last = self._next, min(self._next + _AT_ONCE, len(self._columns)) - 1
        base = self._run_id * MAX_ITEMS
        if again is None:
            found = rows.between(self._run_id, self.text, first, last)
        else:
            found = rows.among(self.text, (again + base).tolist())
        hits = np.fromiter(found, np.int64, len(found)) - base
        with lock:
            self._reach()
            if len(self._columns) <= max(last, 0):
                return
            if again is None:
                self._said[first : last + 1] = False
                self._next = last + 1
            else:
                self._said[again] = False
                rest = self._again.popleft()[_AGAIN_AT_ONCE:]
                if len(rest):
                    self._again.appendleft(rest)
            self._said[hits] = True
            self.version += 1

    def _reach(self) -> None:
        length = len(self._columns)
        if length < len(self._said):
            self._said, self._named = self._said[:length], self._named[:length]
            self._again.clear()
        elif length > len(self._said):
            more = np.zeros(length - len(self._said), np.bool_)
            self._said, self._named = np.concatenate([self._said, more]), np.concatenate([self._named, more])

    def _look_at_names(self) -> None:
        if self._ids_seen < len(self._ids):
            for index in self._ids.found(self.text, after=self._ids_seen):
                self._named[index : index + self._questions] = True
            self._ids_seen = len(self._ids)
            self.version += 1
        # The number of an item means that item, and no number that happens to have the same digits.
        if self.text.isdecimal() and 0 <= (index := int(self.text) - self._run_id * MAX_ITEMS) < len(self._named):
            self._named[index] = True


def _line(name: str) -> str:
    return " ".join(name[:_LONGEST_ID].casefold().split("\n"))
