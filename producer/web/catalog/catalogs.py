"""Catalogs: the runs in memory that somebody looks at; two threads load them, keep them up to date, and search them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from persqa.errors import PersqaError
from producer.web.catalog.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from persqa.items import ItemId
    from persqa.runs import Run, RunId
    from persqa.store import Store

#: Between two looks at what has changed.
_REFRESH_SECONDS: Final = 1.0
#: Without anybody looking: from when on a run is no longer kept up to date, and when it is let go.
_RESTS_AFTER_SECONDS: Final = 30.0
_LET_GO_AFTER_SECONDS: Final = 600.0
#: How long who comes first waits for a run, which is enough for a small one to be whole.
_FIRST_LOOK_SECONDS: Final = 0.1
#: After each part that is read, in shares of the time that it took: requests have the interpreter to themselves.
_REST: Final = 0.25
#: After trouble with the database.
_AGAIN_SECONDS: Final = 1.0
_MOST_CATALOGS: Final = 8


class Catalogs:
    """The catalogs of one database. `close` ends their threads."""

    def __init__(self, store: Store) -> None:
        """Prepare; the threads start with the first run that is looked at."""
        self._store = store
        self._catalogs: dict[str, Catalog] = {}
        self._refreshed: dict[str, float] = {}
        self._lock = threading.Lock()
        self._moved = threading.Condition()
        self._work, self._texts = threading.Event(), threading.Event()
        self._closed = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def of(self, run: Run) -> Catalog:
        """The catalog of a run; it is loaded in the background, and a small run is whole at once."""
        with self._lock:
            catalog = self._catalogs.get(run.key)
            if catalog is None:
                catalog = self._catalogs[run.key] = Catalog(run, self._store, wake=self._texts.set)
                self._let_go()
            is_old = time.monotonic() - catalog.looked_at > _RESTS_AFTER_SECONDS
            catalog.looked_at = time.monotonic()
            self._start()
        if is_old:
            self._refreshed.pop(run.key, None)
        self._work.set()
        with self._moved:
            self._moved.wait_for(lambda: self._is_fresh(catalog), _FIRST_LOOK_SECONDS)
        return catalog

    def note(self, run_id: RunId, item_ids: Iterable[ItemId]) -> None:
        """Read these items of a run again at once, as we have changed their reviews."""
        with self._lock:
            found = [catalog for catalog in self._catalogs.values() if catalog.run.id == run_id]
        for catalog in found:
            catalog.upkeep.reread(item_ids)

    def close(self) -> None:
        """End the threads, and let all catalogs go."""
        self._closed.set()
        self._work.set()
        self._texts.set()
        for thread in self._threads.values():
            thread.join()
        self._catalogs.clear()

    def _is_fresh(self, catalog: Catalog) -> bool:
        return catalog.trouble is not None or (catalog.is_complete and catalog.run.key in self._refreshed)

    def _start(self) -> None:
        # One that a defect has ended begins anew with the next page, so that no other page stands still for it.
        for name, work in (("persqa-catalogs", self._keep), ("persqa-searches", self._search)):
            thread = self._threads.get(name)
            if thread is None or not thread.is_alive():
                self._threads[name] = threading.Thread(target=work, name=name, daemon=True)
                self._threads[name].start()

    def _let_go(self) -> None:
        """Let those go that nobody has looked at for long, or for longest."""
        now = time.monotonic()
        by_look = sorted(self._catalogs.values(), key=lambda one: one.looked_at, reverse=True)
        for place, catalog in enumerate(by_look):
            if place >= _MOST_CATALOGS or now - catalog.looked_at > _LET_GO_AFTER_SECONDS or catalog.upkeep.is_gone:
                del self._catalogs[catalog.run.key]
                self._refreshed.pop(catalog.run.key, None)

    def _all(self) -> list[Catalog]:
        with self._lock:
            return sorted(self._catalogs.values(), key=lambda one: one.looked_at, reverse=True)

    def _keep(self) -> None:
        """Load and refresh, a part at a time, the run first that was looked at last."""
        while not self._closed.is_set():
            self._work.clear()
            started = time.monotonic()
            done = [self._attempt(catalog, self._tend) for catalog in self._all()]
            with self._moved:
                self._moved.notify_all()
            took = time.monotonic() - started
            if any(done):
                self._closed.wait(took * _REST)
            else:
                self._work.wait(_REFRESH_SECONDS / 4)
                with self._lock:
                    self._let_go()

    def _search(self) -> None:
        while not self._closed.is_set():
            self._texts.clear()
            if not any(self._attempt(catalog, lambda one: one.searches.step()) for catalog in self._all()):
                self._texts.wait(_REFRESH_SECONDS)

    def _tend(self, catalog: Catalog) -> bool:
        """Do the next of what there is to do; returns whether there was something."""
        # Who reads rows has the interpreter for most of the time, so nothing is begun while somebody looks.
        catalog.wait_for_lookers()
        now, upkeep = time.monotonic(), catalog.upkeep
        if not upkeep.is_loaded:
            upkeep.load()
            return True
        last = self._refreshed.get(catalog.run.key)
        if upkeep.is_gone or (last is not None and now - catalog.looked_at > _RESTS_AFTER_SECONDS):
            return False
        if last is None or now - last >= _REFRESH_SECONDS:
            upkeep.refresh()
            self._refreshed[catalog.run.key] = now
            return True
        if not upkeep.is_named:
            upkeep.name()
            return True
        return False

    def _attempt(self, catalog: Catalog, work: Callable[[Catalog], bool]) -> bool:
        """Do some work for a run; trouble with the database passes, and is told until then."""
        try:
            done = work(catalog)
        except PersqaError as error:
            catalog.trouble = str(error)
            self._closed.wait(_AGAIN_SECONDS)
            return False
        if done:
            catalog.trouble = None
        return done
