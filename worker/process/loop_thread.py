"""LoopThread: an event loop in a thread of its own, since Celery's loop has the main thread."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

Answer = TypeVar("Answer")

#: Enough to shut an engine down.
_CLEAN_UP_SECONDS = 30
_TICK_SECONDS = 0.2


class Job:
    """A coroutine that a `LoopThread` runs; Celery keeps a weak reference to it as the handle of a request."""

    __slots__ = ("__weakref__", "_cancelled", "_coroutine", "_loop", "_on_end", "task")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, None],
        on_end: Callable[[Job, BaseException | None], None],
    ) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._on_end = on_end
        self._cancelled = False
        #: Used by the loop's thread only.
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to run the coroutine; called in the loop's thread."""
        self.task = self._loop.create_task(self._coroutine)
        self.task.add_done_callback(self._notice_done)
        if self._cancelled:
            self.task.cancel()

    def cancel(self) -> None:
        """Cancel the coroutine; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._cancel)

    def terminate(self, _signal: object) -> None:
        """Cancel the coroutine, as Celery names it; nothing is committed or acknowledged."""
        self.cancel()

    def _cancel(self) -> None:
        self._cancelled = True
        if self.task is not None:
            self.task.cancel()

    def _notice_done(self, task: asyncio.Task[None]) -> None:
        self._on_end(self, None if task.cancelled() else task.exception())


class LoopThread:
    """Runs coroutines that other threads submit."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        #: Jobs that have not ended.
        self.jobs: set[Job] = set()
        self._new: deque[Job] = deque()
        #: A count that grows five times a second while nothing blocks the loop.
        self.ticks = 0
        #: Whether the loop has been woken for the new jobs.
        self._woken = False

    def start(self) -> None:
        """Start the thread."""
        self._loop.call_soon(self._tick)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, Answer]) -> Future[Answer]:
        """Run a coroutine in the loop; cancelling the future cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def begin(self, coroutine: Coroutine[Any, Any, None], on_end: Callable[[BaseException | None], None]) -> Job:
        """Run one of many coroutines in the loop; several that come together wake the loop once.

        `on_end` is called in the loop's thread with what the coroutine raised, or with None if it returned or was
        cancelled.
        """

        def end(job: Job, error: BaseException | None) -> None:
            self.jobs.discard(job)
            on_end(error)

        job = Job(self._loop, coroutine, end)
        self.jobs.add(job)
        self._new.append(job)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._begin_new)
        return job

    def wait(self, seconds: float) -> int:
        """Wait for all jobs to end, for this many seconds at most; returns how many have not ended."""
        return self.submit(self._wait(seconds)).result()

    def cancel(self) -> None:
        """Cancel all jobs."""
        # Copied at once, because jobs that end leave the set in the loop's thread.
        for job in list(self.jobs):
            job.cancel()

    def stop(self) -> None:
        """Cancel all coroutines, give them time to clean up, and end the thread."""
        self.submit(_cancel_others()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _tick(self) -> None:
        self.ticks += 1
        self._loop.call_later(_TICK_SECONDS, self._tick)

    def _begin_new(self) -> None:
        # Set first, so that a job that is added from now on wakes the loop again.
        self._woken = False
        while self._new:
            self._new.popleft().begin()

    async def _wait(self, seconds: float) -> int:
        self._begin_new()
        tasks = [job.task for job in list(self.jobs) if job.task is not None]
        return len((await asyncio.wait(tasks, timeout=seconds))[1]) if tasks else 0


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_CLEAN_UP_SECONDS)
