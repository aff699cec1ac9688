"""InFlight: the requests that an engine has got and not answered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from persqa.errors import EngineDead
from worker.process import metrics

if TYPE_CHECKING:
    from persqa.generations import Generation
    from worker.engines.engine import Engine, Request


class InFlight:
    """Asks engines, and knows since when they are busy; for one event loop."""

    def __init__(self) -> None:
        #: How many requests are in flight.
        self.count = 0
        self._busy_since = time.monotonic()
        #: Timeouts of the requests in flight.
        self._timeouts: set[asyncio.Timeout] = set()

    def silence(self, engine: Engine) -> float:
        """For how many seconds a busy engine has produced no token; 0 while it is idle."""
        return time.monotonic() - max(self._busy_since, engine.heard_at) if self.count else 0.0

    async def ask(self, engine: Engine, request: Request) -> Generation:
        """The engine's answer.

        Raises:
            Rejected: this request can never be served.
            EngineDead: the engine died, or the requests in flight were abandoned.
        """
        if self.count == 0:
            self._busy_since = time.monotonic()
            metrics.BUSY.begin()
        self.count += 1
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
            self.count -= 1
            if self.count == 0:
                metrics.BUSY.end()

    def abandon(self) -> None:
        """Fail all requests in flight, because a dying vLLM 0.32 forgets those that come at that moment."""
        timeouts, self._timeouts = self._timeouts, set()
        for timeout in timeouts:
            timeout.reschedule(asyncio.get_running_loop().time())
        # The requests fail only after the next engine has loaded, which blocks the loop.
        metrics.BUSY.end()

    def begin_anew(self) -> None:
        """Measure silence from now on, for a new engine."""
        self._busy_since = time.monotonic()
