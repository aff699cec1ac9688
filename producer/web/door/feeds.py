"""Feeds: one look at the database for each run that is followed, which serves all of its followers.

A follower at the end takes what the look has found. One that is behind reads for itself, a page at a time, until it
has come to what is kept.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from contextlib import aclosing, closing, suppress
from typing import TYPE_CHECKING, TypeVar

from anyio import CapacityLimiter, to_thread

from persqa.controls import refuse_vain
from persqa.errors import Infrastructure
from persqa.runs import RunState
from producer.following import LOOK_SECONDS
from producer.web.door.problems import Problem
from producer.web.door.rows import Line, Page, page_after

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from persqa.runs import Run, RunId
    from persqa.store import Store
    from persqa.store.news import News

_T = TypeVar("_T")
#: How long what has come may wait for more, so that a busy database is not looked at without a pause.
_TOGETHER_SECONDS = 0.02
#: Bytes of rows that are kept for the followers of a run, and of what one of them is sent at once.
_KEPT_BYTES, _SENT_BYTES = 4 * 2**20, 64 * 2**10
#: How long a follower hears nothing, in seconds: an empty line keeps proxies from closing the connection.
_QUIET_SECONDS = 15.0
#: Reads at once, and runs that are waited for at once; others are waited for in turn.
_READERS, _WAITING = 4, 64


class Feeds:
    """What is followed; for one event loop."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._feeds: dict[RunId, _Feed] = {}
        self._readers, self._waiting = CapacityLimiter(_READERS), CapacityLimiter(_WAITING)
        #: Set when the server ends.
        self.ending = asyncio.Event()

    def end(self) -> None:
        """Let go of all followers."""
        self.ending.set()
        for feed in self._feeds.values():
            feed.wake()

    async def page(self, run: Run, after: int) -> Page:
        """Read one page; raises as `page_after`."""
        return await self.read(lambda: page_after(self.store, run, after))

    async def read(self, do: Callable[[], _T]) -> _T:
        """Read something in a thread."""
        return await to_thread.run_sync(do, limiter=self._readers)

    async def wait(self, news: News, seconds: float) -> None:
        """Wait for news, in a thread."""
        await to_thread.run_sync(news.wait, seconds, limiter=self._waiting)

    async def pause(self, seconds: float) -> None:
        """Wait, at most until the server ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ending.wait()

    async def rest(self, run: Run, page: Page, most: int | None) -> AsyncGenerator[bytes]:
        """The results from this page on that there are now, at most so many, some at a time."""
        left = most
        while True:
            for part in _parts(page.lines[:left]):
                yield part
            left = None if left is None else left - len(page.lines)
            if page.last or (left is not None and left <= 0):
                return
            page = await self.page(run, page.cursor)

    async def follow(self, run: Run, page: Page, gone: asyncio.Future[None]) -> AsyncGenerator[bytes]:
        """The results from this page on as they come, until the run is done, and closed, or the client has gone.

        Raises:
            RunStopped: the run is cancelled, or has paused itself.
            RunNotFound: it was deleted.
        """
        for part in _parts(page.lines):
            yield part
        feed = self._feeds.get(run.id)
        if feed is None or feed.over:
            feed = self._feeds[run.id] = _Feed(self, run)
        feed.followers += 1
        try:
            async with aclosing(feed.follow(page.cursor, gone)) as parts:
                async for part in parts:
                    yield part
        finally:
            feed.followers -= 1
            if not feed.followers:
                feed.wake()
                if self._feeds.get(run.id) is feed:
                    del self._feeds[run.id]


class _Feed:
    """One run that is followed."""

    def __init__(self, feeds: Feeds, run: Run) -> None:
        self._feeds, self._run = feeds, run
        self._news = feeds.store.endings.news(run.id)
        self.followers = 0
        #: The last rows, and the cursor behind which they are all that there is; None before the first look.
        self._kept: deque[Line] = deque()
        self._bytes = 0
        self._start: int | None = None
        #: The last cursor that the look has seen.
        self._last = 0
        #: Whether nothing more will come, and why; None at the end of a run.
        self.over = False
        self._error: Exception | None = None
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._looking = asyncio.create_task(self._look())

    def wake(self) -> None:
        """Let the look and all followers see whether they should go on."""
        if not self._looking.done():
            self._news.wake()
        self._tell()

    async def follow(self, after: int, gone: asyncio.Future[None]) -> AsyncGenerator[bytes]:
        """As `Feeds.follow`, behind a cursor."""
        while not gone.done() and not self._feeds.ending.is_set():
            # As they are before anything is read, so that what comes meanwhile is not passed over.
            changed, over = self._changed, self.over
            lines, after, whole = await self._behind(after)
            for part in _parts(lines):
                yield part
            if lines or not whole:
                continue
            if over:
                if self._error is not None:
                    raise self._error
                return
            done, _ = await asyncio.wait({changed, gone}, timeout=_QUIET_SECONDS, return_when="FIRST_COMPLETED")
            if not done:
                yield b"\n"
        if not gone.done():
            # Otherwise it would look like the end of the run.
            raise Problem(503, "ending", "the server ends: go on behind the last cursor when there is one again")

    async def _behind(self, after: int) -> tuple[Sequence[Line], int, bool]:
        """The next rows behind a cursor, the cursor behind them, and whether these are all that there are."""
        if self._start is not None and after >= self._start:
            kept = list(self._kept)
            return kept[bisect_right(kept, after, key=lambda one: one.cursor) :], max(after, self._last), True
        try:
            page = await self._feeds.page(self._run, after)
        except Infrastructure:
            await self._feeds.pause(LOOK_SECONDS)
            return [], after, False
        return page.lines, page.cursor, page.last

    async def _look(self) -> None:
        """Look, and wake who waits, until nothing more will come or nobody waits."""
        with closing(self._news):
            while self.followers and not self.over and not self._feeds.ending.is_set():
                try:
                    if not await self._look_once() and not self.over:
                        await self._feeds.wait(self._news, LOOK_SECONDS)
                        # What comes at the same time is read together.
                        await self._feeds.pause(_TOGETHER_SECONDS)
                except Infrastructure:
                    await self._feeds.pause(LOOK_SECONDS)
                except Exception as error:  # noqa: BLE001 - its followers get it
                    self._error, self.over = error, True
                    self._tell()

    async def _look_once(self) -> bool:
        """Read what has come; returns whether there is more already."""
        if self._start is None:
            # Whoever is behind reads for itself, so this begins where the run is.
            self._start, _ = await self._feeds.read(lambda: self._feeds.store.endings.ended(self._run, []))
            self._last = self._start
            self._tell()
            return True
        page = await self._feeds.page(self._run, self._last)
        self._keep(page)
        self.over = page.last and page.progress.state is RunState.DONE
        if page.lines or self.over:
            self._news.found()
            self._tell()
        if page.last and not self.over:
            refuse_vain(page.progress, self._run.name)
        return not page.last

    def _keep(self, page: Page) -> None:
        self._kept.extend(page.lines)
        self._bytes += sum(len(one.text) for one in page.lines)
        self._last = page.cursor
        while self._bytes > _KEPT_BYTES:
            oldest = self._kept.popleft()
            self._start, self._bytes = oldest.cursor, self._bytes - len(oldest.text)

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.get_running_loop().create_future()
        changed.set_result(None)


def _parts(page: Sequence[Line]) -> list[bytes]:
    """Some rows in parts that are sent at once."""
    parts, part, size = list[bytes](), list[bytes](), 0
    for one in page:
        part.append(one.text)
        size += len(one.text)
        if size >= _SENT_BYTES:
            parts.append(b"".join(part))
            part, size = [], 0
    return [*parts, b"".join(part)] if part else parts
