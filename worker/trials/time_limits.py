"""TimeLimits: how long one item may take, not counting what it waits for others."""

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
    """Only the clock of the oldest runs; for one event loop.

    Engines take requests in the order they come, and nobody sees from outside which of them still wait. The oldest
    does not. So many items in a slow engine are no reason to give one up, and one that is stuck is the oldest soon.
    """

    def __init__(self) -> None:
        #: In the order they came.
        self._clocks: dict[_Clock, None] = {}

    @asynccontextmanager
    async def limit(self, seconds: float | None) -> AsyncGenerator[asyncio.Timeout]:
        """Give the block so many seconds from the moment when all that were entered before are left.

        Raises:
            TimeoutError: it took longer; the timeout it gives says whether that is why.
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
