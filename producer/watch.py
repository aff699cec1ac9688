"""The watch: one look at the database for all who wait for single items of a run."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import defaultdict
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from weakref import WeakSet

from persqa.items import ItemId
from persqa.pairs import PairRow
from producer.following import LOOK_SECONDS, Patience, refuse_given_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.runs import Run
    from producer.connections import Connections

Found = TypeVar("Found")

#: How long it is kept ready for the next one who waits.
_LINGER_SECONDS = 2.0

#: Longest time that a fork waits for the end of a read.
_FORK_SECONDS = 5.0

#: An item's row, once it has a result.
Awaited: TypeAlias = "Future[PairRow]"


class Watch:
    """Waits for items of one run, for any number of threads; a thread of its own looks while somebody waits."""

    def __init__(self, connections: Connections, run: Run) -> None:
        """Prepare, without connecting."""
        self._connections = connections
        self._run = run
        self._lock = threading.Lock()
        self._look: _Look | None = None
        self._reason, self._reason_at, self._reasoning = "", -math.inf, threading.Lock()
        _watches.add(self)
        connections.watches.add(self)

    def row(self, item_id: ItemId) -> PairRow | None:
        """The item's row, if it has a result.

        Raises:
            RunNotFound: the run is gone.
        """
        _, rows = self._connections.store.endings.ended(self._run, [item_id])
        return rows[0] if rows else None

    def ask(self, item_id: ItemId) -> Awaited:
        """The row of an item, once it has a result; whoever does not wait any longer cancels it.

        It raises what `RunHandle.wait` raises, but for TimeoutError.
        """
        with self._lock:
            if self._look is None or self._look.is_over:
                self._look = _Look(self._connections, self._run, self._lock, self)
                self._look.start()
            return self._look.ask(item_id)

    def reason(self) -> str:
        """Why results do not come, for those who have waited long enough; empty where they do, or nobody can tell."""
        # Imported here, as few wait in vain.
        from producer.lookout import Lookout

        with self._reasoning:
            # Many may have begun to wait at the same moment.
            if time.monotonic() - self._reason_at > LOOK_SECONDS:
                with closing(Lookout(self._connections, self._run)) as lookout:
                    self._reason = lookout.look(None).reason
                self._reason_at = time.monotonic()
            return self._reason

    def close(self) -> None:
        """Let nobody wait any longer, and end the thread."""
        with self._lock:
            look, self._look = self._look, None
            if look is not None:
                look.close()
        if look is not None and look is not threading.current_thread():
            look.join()

    def after_fork(self) -> None:
        """In a child process: the thread that looks is the parent's, and so are those who wait."""
        # What the parent has is left as it is, for closing it would be felt there.
        _of_parents.append(self._look)
        self._lock, self._look, self._reasoning = threading.Lock(), None, threading.Lock()


class _Look(threading.Thread):
    """Looks until nobody has waited for a while; the watch holds the lock where it calls."""

    def __init__(self, connections: Connections, run: Run, lock: threading.Lock, watch: Watch) -> None:
        super().__init__(name=f"persqa-watch-{run.name}", daemon=True)
        self._connections = connections
        self._endings = connections.store.endings
        self._run = run
        self._lock = lock
        # It is there as long as this thread, so that whoever closes the client finds it.
        self._watch = watch
        self._news = self._endings.news(run.id)
        self._patience = Patience()
        #: Who waits for which item, and those items that nobody has looked for yet.
        self._waiting: defaultdict[ItemId, list[Awaited]] = defaultdict(list)
        self._new: list[ItemId] = []
        self.is_over = False
        #: Up to which ending all that somebody waits for is known; none where nobody does.
        self._cursor: int | None = None
        self._looked_after_run = self._wanted_at = time.monotonic()
        #: Whether it stands before the gate, in no call.
        self._is_still = threading.Event()
        _looks.add(self)

    def ask(self, item_id: ItemId) -> Awaited:
        awaited: Awaited = Future()
        self._waiting[item_id].append(awaited)
        self._new.append(item_id)
        self._news.wake()
        return awaited

    def close(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._news.wake()

    def stand_still(self) -> None:
        """Wait until this thread stands before the gate, or has ended."""
        self._news.wake()
        self._is_still.wait(_FORK_SECONDS)

    def run(self) -> None:
        try:
            self._look()
        finally:
            self._is_still.set()

    def _look(self) -> None:
        error: Exception | None = None
        try:
            self._go_on()
        except Exception as raised:  # noqa: BLE001 - those who wait raise it
            error = raised
        with self._lock:
            # From now on nobody asks or wakes this one.
            self.is_over = True
            waiting = [one for of_item in self._waiting.values() for one in of_item]
            self._news.close()
        for awaited in waiting:
            if error is None:
                awaited.cancel()
            elif awaited.set_running_or_notify_cancel():
                awaited.set_exception(error)

    def _go_on(self) -> None:
        while not self._may_end():
            self._let_fork()
            if self._is_wanted():
                self._wanted_at = time.monotonic()
                self._read()
            elif self._cursor is not None:
                self._cursor = None
                self._news.rest()
            else:
                self._news.wait(_LINGER_SECONDS)

    def _may_end(self) -> bool:
        with self._lock:
            long = not self._waiting and time.monotonic() - self._wanted_at > _LINGER_SECONDS
            self.is_over = self.is_over or long
            return self.is_over

    def _is_wanted(self) -> bool:
        """Whether anybody waits; those who do not any longer are forgotten."""
        with self._lock:
            for item_id in [*self._waiting]:
                self._waiting[item_id] = [one for one in self._waiting[item_id] if not one.cancelled()]
                if not self._waiting[item_id]:
                    del self._waiting[item_id]
            return bool(self._waiting)

    def _read(self) -> None:
        with self._lock:
            new, self._new = self._new, []
        if new:
            last, rows = self._when_there(partial(self._endings.ended, self._run, new))
            # Others may still wait for what is behind the older cursor.
            self._cursor = last if self._cursor is None else self._cursor
            self._give(rows)
        self._read_endings()
        if self._is_wanted():
            self._look_after_run()
            self._news.wait(LOOK_SECONDS)

    def _read_endings(self) -> None:
        while (cursor := self._cursor) is not None:
            found = self._when_there(partial(self._endings.numbers, self._run.id, cursor))
            self._cursor = found.cursor
            if not found.items:
                return
            self._news.found()
            with self._lock:
                wanted = [item_id for item_id in set(found.items) if item_id in self._waiting]
            if wanted:
                # One that was requeued since then ends again.
                self._give(self._when_there(partial(self._endings.ended, self._run, wanted))[1])

    def _give(self, rows: Sequence[PairRow]) -> None:
        with self._lock:
            found = [(row, self._waiting.pop(ItemId(row.item_id), [])) for row in rows]
        for row, of_item in found:
            for awaited in of_item:
                if awaited.set_running_or_notify_cancel():
                    awaited.set_result(row)

    def _look_after_run(self) -> None:
        if time.monotonic() - self._looked_after_run < LOOK_SECONDS:
            return
        self._looked_after_run = time.monotonic()
        progress = self._when_there(partial(self._connections.store.queries.progress, self._run.id))
        refuse_given_up(self._connections, self._run, progress)
        self._connections.tend()

    def _when_there(self, read: Callable[[], Found]) -> Found:
        def read_then() -> Found:
            self._let_fork()
            return read()

        return self._patience.read(read_then, self._news, over=lambda: self.is_over)

    def _let_fork(self) -> None:
        self._is_still.set()
        with _gate:
            self._is_still.clear()


_watches: WeakSet[Watch] = WeakSet()
_looks: WeakSet[_Look] = WeakSet()
#: Held by whoever forks. No look is inside a call by then: what it holds in there, as SQLite's own locks, is never let
#: go of in the child.
_gate = threading.Lock()
#: What must not be closed here.
_of_parents: list[object] = []


def _before_fork() -> None:
    _gate.acquire()
    for look in [*_looks]:
        look.stand_still()


def _after_fork() -> None:
    for watch in _watches:
        watch.after_fork()
    _looks.clear()
    _gate.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_gate.release, after_in_child=_after_fork)
