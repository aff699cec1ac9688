"""TimeLimits: limits the time of one item, without the time that it waits for others."""

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

    An engine takes requests in the order they come, and does not say which of them still wait. The oldest one does not.
    So a slow engine with many items loses none of them, and an item that is stuck is soon the oldest.
    """

    def __init__(self) -> None:
        #: The oldest one first.
        self._clocks: dict[_Clock, None] = {}

    @asynccontextmanager
    async def limit(self, seconds: float | None) -> AsyncGenerator[asyncio.Timeout]:
        """Limit the block to this many seconds from the moment when all earlier blocks have ended.

        Raises:
            TimeoutError: the block took longer, or raised it itself; the timeout that is yielded tells which.
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
