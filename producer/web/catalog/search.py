"""Search: where a run's items say a text; found part by part in the background, and shown as far as it is found."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from persqa.items import MAX_ITEMS

if TYPE_CHECKING:
    from persqa.runs import RunId
    from persqa.store.text_search import TextSearch
    from producer.web.catalog.columns import Columns, Indexes, Mask
    from producer.web.catalog.record_ids import RecordIds

#: Indexes that one statement looks through: few at first, for what is found soon, and then more, which is faster.
_AT_ONCE: Final = 1 << 16
_MOST_AT_ONCE: Final = 1 << 18
#: Items that have changed, likewise.
_AGAIN_AT_ONCE: Final = 2000


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
        self._size = _AT_ONCE
        #: When somebody last asked for it, on the monotonic clock.
        self.asked = self.started
        self._ids_seen = 0
        self._again: deque[Indexes] = deque()

    @property
    def place(self) -> int:
        """How many indexes were looked through."""
        return self._next

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
            first, last = self._next, min(self._next + self._size, len(self._columns)) - 1
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
                self._size = min(2 * self._size, _MOST_AT_ONCE)
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
        index = int(self.text) - self._run_id * MAX_ITEMS if self.text.isdecimal() else -1
        if 0 <= index < len(self._named):
            self._named[index] = True
