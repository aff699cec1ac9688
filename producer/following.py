"""Following a run: its items in the order in which they end, from a cursor on, until the run is done."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from persqa.controls import refuse_deleting, refuse_vain
from persqa.errors import RunStopped, StoreUnavailable
from persqa.runs import RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.pairs import Ending
    from persqa.progress import Progress
    from persqa.runs import Run
    from persqa.store.endings import Page
    from persqa.store.news import News
    from producer.connections import Connections

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: Longest time between two looks, since nobody tells that a run was cancelled.
LOOK_SECONDS = 1.0

_ReadPage: TypeAlias = "Callable[[int], Page]"


class Followed(Iterator["Ending"]):
    """The endings of a run behind a cursor, until the run is done, or somebody closes this one."""

    def __init__(self, connections: Connections, run: Run, read: _ReadPage, *, after: int) -> None:
        """Read nothing yet.

        Args:
            connections: the database, and what is tended meanwhile.
            run: the run.
            read: reads what comes behind a cursor.
            after: the cursor.
        """
        self._connections = connections
        self._run = run
        self._read = read
        self._news: News | None = None
        self._is_over = False
        self._rows = self._follow(after)
        #: How many more rows can be had without waiting.
        self.at_hand = 0

    def __next__(self) -> Ending:
        """The next one.

        Raises:
            RunStopped, RunNotFound, SettingsError, WorkerDied: as of `RunHandle.wait`; SettingsError also where the run
                has had no such cursor.
        """
        return next(self._rows)

    def close(self) -> None:
        """Let no more come, also while another thread waits for the next one."""
        self._is_over = True
        if (news := self._news) is not None:
            news.wake()

    def _follow(self, after: int) -> Iterator[Ending]:
        patience = Patience()
        with closing(self._connections.store.endings.news(self._run.id)) as self._news:
            news = self._news
            while not self._is_over:
                page = patience.read(partial(self._read, after), news, over=lambda: self._is_over)
                if page.rows:
                    # Whoever takes them may take long.
                    news.found()
                    news.rest()
                    for self.at_hand, row in zip(range(len(page.rows) - 1, -1, -1), page.rows, strict=True):
                        yield row
                after = page.cursor
                if not page.last:
                    continue
                if page.progress.state is RunState.DONE:
                    return
                self._refuse_vain(page.progress)
                self._connections.tend()
                news.wait(LOOK_SECONDS)

    def _refuse_vain(self, progress: Progress) -> None:
        try:
            refuse_vain(progress, self._run.name)
        except RunStopped:
            refuse_deleting(self._connections.store, self._run)
            raise


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
