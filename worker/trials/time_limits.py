"""TimeLimits: how long one item may take, without the time it waits for others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(frozen=True, slots=True, eq=False)
class _Clock:
    timeout: asyncio.Timeout
    seconds: float | None


class TimeLimits:
    """Runs the clock of the oldest item only; for one event loop.

    Engines take requests in the order they come, and nobody sees from outside which requests still wait. The oldest
    does not wait. So a slow engine with many items gives up none, and an item that is stuck is soon the oldest.
    """

    def __init__(self) -> None:
        #: In the order in which they began.
        self._clocks: dict[_Clock, None] = {}

    @asynccontextmanager
    async def limit(self, seconds: float | None) -> AsyncGenerator[asyncio.Timeout]:
        """Give the block this many seconds, from the moment when all blocks begun before it have ended.

        Raises:
            TimeoutError: it took longer, or the block raised it itself; the timeout it gives says which.
        """
        async with asyncio.timeout(None) as timeout:
            clock = _Clock(timeout, seconds)
            self._clocks[clock] = None
            self._start_oldest()
            try:
                yield timeout
            finally:
                del self._clocks[clock]
                self._start_oldest()

    def _start_oldest(self) -> None:
        oldest = next(iter(self._clocks), None)
        if oldest is not None and oldest.seconds is not None and oldest.timeout.when() is None:
            oldest.timeout.reschedule(asyncio.get_running_loop().time() + oldest.seconds)
