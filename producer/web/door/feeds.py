"""Feeds: one look at the database for each run that is followed, which serves all of its followers.

A follower at the end takes what the look has found. One that is behind reads for itself, a page at a time, until it
has come to what is kept.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from persqa.errors import Infrastructure, RunStopped
from persqa.runs import RunState
from producer.web.door.rows import Line, end_of, lines_after

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from persqa.runs import Run, RunId
    from persqa.store import Store

#: Rows in one read.
_PAGE = 500
#: How often a run is looked at, in seconds, and what does not answer.
_LOOK_SECONDS, _AWAY_SECONDS = 0.2, 2.0
#: Bytes of rows that are kept for the followers of a run, and of what one of them sends at once.
_KEPT_BYTES, _SENT_BYTES = 4 * 2**20, 64 * 2**10
#: How long a follower says nothing, in seconds: an empty line keeps proxies from closing the connection.
_QUIET_SECONDS = 15.0
#: Reads at once.
_THREADS = 4


class Feeds:
    """What is followed; for one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._feeds: dict[RunId, _Feed] = {}
        self._threads = CapacityLimiter(_THREADS)
        #: Set when the server ends.
        self.ending = asyncio.Event()

    def end(self) -> None:
        """Let go of all followers."""
        self.ending.set()
        for feed in self._feeds.values():
            feed.wake()

    async def read(self, run: Run, after: int, most: int | None) -> AsyncGenerator[bytes]:
        """The results that there are behind a cursor, at most so many, some at a time."""
        left = most
        while left != 0:
            asked = _PAGE if left is None else min(_PAGE, left)
            page = await self.page(run, after, asked)
            for part in _parts(page):
                yield part
            if len(page) < asked:
                return
            after, left = page[-1].cursor, None if left is None else left - len(page)

    async def follow(self, run: Run, after: int, gone: asyncio.Future[None]) -> AsyncGenerator[bytes]:
        """The results behind a cursor as they come, until the run is done, and closed, or the client has gone.

        Raises:
            RunStopped: the run is cancelled or being deleted.
            RunNotFound: it was deleted.
        """
        feed = self._feeds.get(run.id)
        if feed is None:
            feed = self._feeds[run.id] = _Feed(self, run)
        feed.followers += 1
        try:
            async with aclosing(feed.follow(after, gone)) as parts:
                async for part in parts:
                    yield part
        finally:
            feed.followers -= 1
            if not feed.followers:
                self._feeds.pop(run.id, None)
                feed.close()

    async def page(self, run: Run, after: int, most: int = _PAGE) -> list[Line]:
        """Read one page."""
        return await to_thread.run_sync(lambda: lines_after(self._store, run, after, most=most), limiter=self._threads)

    async def end_of(self, run: Run) -> int:
        """The last cursor that there is."""
        return await to_thread.run_sync(end_of, self._store, run, limiter=self._threads)

    async def is_over(self, run: Run) -> bool:
        """Whether nothing more will come; raises as `follow`."""
        return await to_thread.run_sync(self._is_over, run, limiter=self._threads)

    def _is_over(self, run: Run) -> bool:
        state = self._store.queries.progress(run.id).state
        if state is RunState.CANCELLED:
            raise RunStopped(f"the run {run.name!r} is cancelled: nothing more comes")
        return state is RunState.DONE


class _Feed:
    """One run that is followed."""

    def __init__(self, feeds: Feeds, run: Run) -> None:
        self._feeds, self._run = feeds, run
        self.followers = 0
        #: The last rows, and the cursor behind which they are all that there is; None before the first look.
        self._kept: deque[Line] = deque()
        self._bytes = 0
        self._start: int | None = None
        #: The last cursor that the look has seen.
        self._last = 0
        #: Why it has ended; None at the end of a run, and while it goes on.
        self._error: Exception | None = None
        self._over = False
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._look = asyncio.create_task(self._go_on())

    def close(self) -> None:
        """Look no more."""
        self._look.cancel()

    async def follow(self, after: int, gone: asyncio.Future[None]) -> AsyncGenerator[bytes]:
        """As `Feeds.follow`."""
        while not gone.done() and not self._feeds.ending.is_set():
            changed, over, last = self._changed, self._over, self._last
            page = await self._behind(after)
            for part in _parts(page):
                yield part
            if page:
                after = page[-1].cursor
            elif over:
                if self._error is not None:
                    raise self._error
                return
            else:
                # What the look had seen before has all been read by now.
                after = max(after, last)
                done, _ = await asyncio.wait({changed, gone}, timeout=_QUIET_SECONDS, return_when="FIRST_COMPLETED")
                if not done:
                    yield b"\n"

    async def _behind(self, after: int) -> Sequence[Line]:
        """The next rows behind a cursor: those that are kept, or a page of the database."""
        if self._start is not None and after >= self._start:
            kept = list(self._kept)
            return kept[bisect_right(kept, after, key=lambda one: one.cursor) :]
        while True:
            try:
                return await self._feeds.page(self._run, after)
            except Infrastructure:
                await self._pause(_AWAY_SECONDS)
                if self._feeds.ending.is_set():
                    return []

    async def _go_on(self) -> None:
        """Look, and wake who waits, until nothing more will come."""
        while not self._over:
            pause = _LOOK_SECONDS
            try:
                pause = await self._look_once()
            except Infrastructure:
                pause = _AWAY_SECONDS
            except Exception as error:  # noqa: BLE001 - its followers get it
                self._error, self._over = error, True
            if pause == 0 or self._over:
                self.wake()
            await self._pause(pause)

    async def _look_once(self) -> float:
        """Read what has come; returns after how many seconds to look again."""
        if self._start is None:
            # Whoever is behind reads for itself, so this begins where the run is.
            self._start = self._last = await self._feeds.end_of(self._run)
            return 0
        page = await self._feeds.page(self._run, self._last)
        # Where it is over, it has all that it will ever have.
        over = not page and await self._feeds.is_over(self._run)
        if over:
            page = await self._feeds.page(self._run, self._last)
        self._over = over and len(page) < _PAGE
        for one in page:
            self._kept.append(one)
            self._bytes += len(one.text)
        if page:
            self._last = page[-1].cursor
        while self._bytes > _KEPT_BYTES:
            oldest = self._kept.popleft()
            self._start, self._bytes = oldest.cursor, self._bytes - len(oldest.text)
        return 0 if page else _LOOK_SECONDS

    def wake(self) -> None:
        """Let all followers look whether there is something for them."""
        changed, self._changed = self._changed, asyncio.get_running_loop().create_future()
        changed.set_result(None)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._feeds.ending.wait()


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
