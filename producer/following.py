"""Following a run: its items in the order in which they end, from a cursor on, until the run is done."""

from __future__ import annotations

import logging
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from persqa.controls import refuse_deleting, refuse_vain
from persqa.errors import RunStopped, StoreUnavailable
from persqa.runs import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from persqa.pairs import Ending
    from persqa.runs import Run
    from persqa.store.endings import Page
    from persqa.store.news import News
    from producer.connections import Connections

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: Longest time between two looks, since nobody tells that a run was cancelled.
LOOK_SECONDS = 1.0

_ReadPage: TypeAlias = "Callable[[int], Page]"


def followed(connections: Connections, run: Run, read: _ReadPage, *, after: int) -> Iterator[Ending]:
    """The endings of a run behind a cursor.

    Args:
        connections: the database, and what is tended meanwhile.
        run: the run.
        read: reads what comes behind a cursor.
        after: the cursor.

    Raises:
        RunStopped, RunNotFound, SettingsError, WorkerDied: as of `RunHandle.wait`; SettingsError also where the run has
            had no such cursor.
    """
    patience = Patience()
    with closing(connections.store.endings.news(run.id)) as news:
        while True:
            page = patience.read(partial(read, after), news)
            if page.rows:
                # Whoever takes them may take long.
                news.found()
                news.rest()
                yield from page.rows
            after = page.cursor
            if not page.last:
                continue
            if page.progress.state is RunState.DONE:
                return
            try:
                refuse_vain(page.progress, run.name)
            except RunStopped:
                refuse_deleting(connections.store, run)
                raise
            connections.tend()
            news.wait(LOOK_SECONDS)


class Patience:
    """Reads while the database may be away, and says so once."""

    def __init__(self) -> None:
        self._away = False

    def read(self, read: Callable[[], Found], news: News, *, over: Callable[[], bool] = lambda: False) -> Found:
        """What is read, however long that takes; unless nobody waits for it any longer.

        Raises:
            StoreUnavailable: the database is away, and it is over.
        """
        while True:
            try:
                found = read()
            except StoreUnavailable as error:
                if over():
                    raise
                if not self._away:
                    logger.warning("%s; nothing is lost, trying again", error)
                self._away = True
                news.wait(LOOK_SECONDS)
            else:
                self._away = False
                return found
