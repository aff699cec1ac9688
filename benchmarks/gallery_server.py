"""The part of the gallery that counts and orders, in a process of its own, so that its memory is its own.

    python -m benchmarks.gallery_server DATABASE RUN

It does what each line of its standard input says, and answers with a line of JSON.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import TYPE_CHECKING

import psutil

from persqa.store import Store
from producer.web.catalog import Catalogs, Facet, Order, View
from tests.support.wait import spend, wait_until

if TYPE_CHECKING:
    from producer.web.catalog import Catalog

#: Between two requests: of many people at once, or of nobody whose pace a person could keep.
_HURRY_SECONDS = 0.05
_VIEWS = (
    View(),
    View(keep={Facet.STATUS: ("noncompliant",)}),
    View(keep={Facet.TOPIC: ("topic3", "topic4")}, leave_out={Facet.RUNG: ("reseed",)}),
    View(keep={Facet.STATUS: ("ok",), Facet.WORKER: ("host-1", "host-2"), Facet.REVIEW: ("none",)}),
)
_SIZE = 60
#: Nobody has looked for this long, but the run is still in memory.
_NOBODY_SECONDS = 60.0


class _Server:
    def __init__(self, database_url: str, run: str) -> None:
        self._store = Store.look(database_url)
        self._catalogs = Catalogs(self._store)
        self._run = self._store.runs.find(run)
        self._chance = random.Random(0)

    def close(self) -> None:
        self._catalogs.close()
        self._store.close()

    def load(self) -> dict[str, object]:
        """Load the run, and look at it meanwhile."""
        started, took = time.monotonic(), list[float]()
        while not (catalog := self._catalogs.of(self._run)).is_complete:
            took.append(self._page(catalog))
            spend(_HURRY_SECONDS)
        seconds = time.monotonic() - started
        # Records are known by their names somewhat later.
        named = lambda: self._catalogs.of(self._run).upkeep.is_named  # noqa: E731 - a run that nobody looks at rests
        wait_until(named, describe="the names are read", seconds=600)
        return {"seconds": seconds, "pages": took or [self._page(catalog)]}

    def look(self, seconds: float, pause_seconds: float = _HURRY_SECONDS) -> dict[str, object]:
        """Look at pages for so long, with pauses between them."""
        until, took = time.monotonic() + seconds, list[float]()
        while time.monotonic() < until:
            took.append(self._page(self._catalogs.of(self._run)))
            spend(pause_seconds)
        return {"pages": took, "memory": psutil.Process().memory_info().rss / 1e6}

    def search(self, *texts: str) -> dict[str, object]:
        """Search for texts, each until everything was looked through."""
        took: list[float] = []
        for text in texts:
            view, started = View(search=text), time.monotonic()
            catalog = self._catalogs.of(self._run)
            catalog.page(view)
            wait_until(lambda c=catalog, v=view: len(set(c.searched(v))) == 1, describe="all is looked through")
            took.append(time.monotonic() - started)
            assert catalog.page(view).total, text
        return {"searches": took}

    def find(self, *names: str) -> dict[str, object]:
        """Find records and items by what names them, which is on the first page at once."""
        took: list[float] = []
        for name in names:
            started = time.monotonic()
            assert self._catalogs.of(self._run).page(View(search=name)).total, name
            took.append(time.monotonic() - started)
        return {"searches": took}

    def rest(self) -> dict[str, object]:
        """Look at nothing for so long that nothing is kept up to date any more."""
        self._catalogs.of(self._run).looked_at -= _NOBODY_SECONDS
        return {}

    def _page(self, catalog: Catalog) -> float:
        """The seconds of one page with its facets, somewhere in some view."""
        chosen = self._chance.choice(_VIEWS)
        view = View(keep=chosen.keep, leave_out=chosen.leave_out, order=self._chance.choice(list(Order)))
        started = time.monotonic()
        match self._chance.randrange(3):
            case 0:
                at = None
            case 1:
                at = catalog.last_page(view, _SIZE)
            case _:
                at = catalog.at_place(view, self._chance.randrange(max(catalog.loaded // 20, 1)))
        catalog.page(view, at=at, size=_SIZE)
        catalog.facets(view)
        return time.monotonic() - started


def main(database_url: str, run: str) -> None:
    """Do what the standard input says, until it ends."""
    server = _Server(database_url, run)
    try:
        for line in sys.stdin:
            command, *given = json.loads(line)
            sys.stdout.write(json.dumps(getattr(server, command)(*given)) + "\n")
            sys.stdout.flush()
    finally:
        server.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
