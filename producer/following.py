"""Following a run: its items in the order in which they end, from a cursor on, until the run is done."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
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
        # What follows must not know this one: what nobody has any longer is let go of at once, and its connection, too.
        self._told = _Told()
        self._rows = _follow(connections, run, read, after, self._told)

    @property
    def at_hand(self) -> int:
        """How many more rows can be had without waiting."""
        return self._told.at_hand

    def __next__(self) -> Ending:
        """The next one.

        Raises:
            RunStopped, RunNotFound, SettingsError, WorkerDied: as of `RunHandle.wait`; SettingsError also where the run
                has had no such cursor.
        """
        return next(self._rows)

    def close(self) -> None:
        """Let no more come, also while another thread waits for the next one."""
        self._told.is_over = True
        if (news := self._told.news) is not None:
            news.wake()


@dataclass(slots=True)
class _Told:
    """What who follows, and who has the rows, tell each other."""

    news: News | None = None
    at_hand: int = 0
    is_over: bool = False


def _follow(connections: Connections, run: Run, read: _ReadPage, after: int, told: _Told) -> Iterator[Ending]:
    patience = Patience()
    with closing(connections.store.endings.news(run.id)) as news:
        told.news = news
        while not told.is_over:
            page = patience.read(partial(read, after), news, over=lambda: told.is_over)
            if page.rows:
                # Whoever takes them may take long.
                news.found()
                news.rest()
                for told.at_hand, row in zip(range(len(page.rows) - 1, -1, -1), page.rows, strict=True):
                    yield row
            after = page.cursor
            if not page.last:
                continue
            if page.progress.state is RunState.DONE:
                return
            refuse_given_up(connections, run, page.progress)
            connections.tend()
            news.wait(LOOK_SECONDS)


def refuse_given_up(connections: Connections, run: Run, progress: Progress) -> None:
    """Raise RunStopped if it is vain to wait for the run, also where that is being deleted."""
    try:
        refuse_vain(progress, run.name)
    except RunStopped:
        refuse_deleting(connections.store, run)
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
