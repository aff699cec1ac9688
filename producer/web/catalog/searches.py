"""Searches: the texts that are looked for in a run; the last ones are kept up to date."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from producer.web.catalog.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.runs import Run
    from persqa.store.text_search import TextSearch
    from producer.web.catalog.columns import Columns, Indexes, Mask
    from producer.web.catalog.record_ids import RecordIds

#: How long a page waits for what is found.
WAIT_SECONDS: Final = 0.8
_KEPT: Final = 4
#: From when on nobody seems to ask for a text any more.
_LET_GO_SECONDS: Final = 30.0


class Searches:
    """One run's searches; all but `step` is called with the lock held."""

    def __init__(
        self,
        run: Run,
        columns: Columns,
        ids: RecordIds,
        *,
        rows: TextSearch,
        lock: threading.RLock,
        wake: Callable[[], None],
    ) -> None:
        """Begin without any.

        Args:
            run: the run.
            columns: its items.
            ids: what names its records.
            rows: where texts are looked for.
            lock: that of the columns.
            wake: called when there is something to look for.
        """
        self._run, self._columns, self._ids = run, columns, ids
        self._rows, self._lock, self._wake = rows, lock, wake
        self._moved = threading.Condition(lock)
        self._kept: OrderedDict[str, Search] = OrderedDict()

    def found(self, text: str) -> tuple[Mask | None, int]:
        """Where a text was found so far, and a number that goes up with that; None where no text is looked for."""
        if not text:
            return None, 0
        search = self._of(text)
        # The mask first: to look at the names of records makes the number go up.
        return search.found(), search.version

    def place(self, text: str) -> tuple[int, int]:
        """How far a text was looked for, and how far there is to look; the same where everything was looked through."""
        whole = len(self._columns)
        if not text or (search := self._of(text)).is_done:
            return whole, whole
        return min(search.place, whole - 1), whole

    def wait(self, text: str) -> None:
        """Wait until everything was looked through, for a bounded time since the text was first asked for."""
        if not text:
            return
        search = self._of(text)
        until = search.started + WAIT_SECONDS
        # What names a record, or the number of an item, is found at once, and who types one looks for nothing else.
        while not search.is_done and not search.is_named and (left := until - time.monotonic()) > 0:
            self._moved.wait(left)

    def changed(self, indexes: Indexes) -> None:
        """Look again where items have changed, for the texts that somebody still asks for."""
        now = time.monotonic()
        for text, search in list(self._kept.items()):
            if now - search.asked > _LET_GO_SECONDS:
                del self._kept[text]
            else:
                search.changed(indexes)
        if self._kept:
            self._wake()

    def step(self) -> bool:
        """Look through a part of the run for the text that was asked for last; False if nothing is left to do.

        Raises:
            StoreUnavailable: the database does not answer; the same part is looked through again.
        """
        with self._lock:
            left = [search for search in self._kept.values() if not search.is_done]
        if not left:
            return False
        left[-1].step(self._rows, self._lock)
        with self._lock:
            self._moved.notify_all()
        return True

    def _of(self, text: str) -> Search:
        search = self._kept.get(text)
        if search is None:
            questions = self._run.options.questions_per_image
            search = Search(text, self._run.id, self._columns, self._ids, questions=questions)
            self._kept[text] = search
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            self._wake()
        self._kept.move_to_end(text)
        search.asked = time.monotonic()
        return search
