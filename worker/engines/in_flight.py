"""InFlight: the requests that an engine has been asked and has not answered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from persqa.errors import EngineDead
from worker import metrics

if TYPE_CHECKING:
    from persqa.generations import Generation
    from worker.engines.engine import Engine, Request


class InFlight:
    """Asks engines, and knows when they had something to do; for one event loop."""

    def __init__(self) -> None:
        self._count = 0
        self._busy_since = time.monotonic()
        self._timeouts: set[asyncio.Timeout] = set()

    @property
    def count(self) -> int:
        """How many requests are in flight."""
        return self._count

    def silence(self, engine: Engine) -> float:
        """For how many seconds an engine that has something to do has put out nothing; 0 where it has nothing to do."""
        return time.monotonic() - max(self._busy_since, engine.heard_at) if self._count else 0.0

    async def ask(self, engine: Engine, request: Request) -> Generation:
        """The engine's answer.

        Raises:
            Rejected: this request can never be served.
            EngineDead: the engine died, or what was in flight was abandoned.
        """
        if self._count == 0:
            self._busy_since = time.monotonic()
            metrics.BUSY.begin()
        self._count += 1
        timeout = asyncio.timeout(None)
        try:
            async with timeout:
                self._timeouts.add(timeout)
                try:
                    return await engine.generate(request)
                finally:
                    self._timeouts.discard(timeout)
        except TimeoutError as error:
            if timeout.expired():
                raise EngineDead("the engine died, and said nothing to this request") from error
            raise
        finally:
            self._count -= 1
            if self._count == 0:
                metrics.BUSY.end()

    def abandon(self) -> None:
        """End all waiting: a dying engine does not answer everyone, as vLLM 0.32 forgets what comes at that moment."""
        timeouts, self._timeouts = self._timeouts, set()
        for timeout in timeouts:
            timeout.reschedule(asyncio.get_running_loop().time())
        # Those who wait only notice once the next engine is loaded, which blocks the loop.
        metrics.BUSY.end()

    def begin_anew(self) -> None:
        """There is a new engine, which has had nothing to do so far."""
        self._busy_since = time.monotonic()
