"""Room: memory that requests share, given in the order of asking, and space on the disk, which is given or not."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from producer.web.door.problems import busy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Room:
    """Memory for what has wholly arrived, so that no client keeps others waiting; for one event loop."""

    def __init__(self, most: int) -> None:
        self._free = self._most = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncGenerator[None]:
        """Have so many bytes; whoever wants more than there are gets all of them, alone."""
        share = min(size, self._most)
        if self._waiting or share > self._free:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((share, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(share)
                else:
                    self._waiting.remove((share, turn))
                    self._give_back(0)
                raise
        else:
            self._free -= share
        try:
            yield
        finally:
            self._give_back(share)

    def _give_back(self, share: int) -> None:
        self._free += share
        while self._waiting and self._waiting[0][0] <= self._free:
            given, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= given
                turn.set_result(None)


class Space:
    """Space on the disk for bodies that are on their way; nobody waits for it, since those who have it may be slow."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.used = 0

    def take(self, size: int) -> None:
        """Take so many bytes; raises a `Problem` where there are no more."""
        if self.used + size > self._most:
            raise busy("too many large bodies are on their way: send this one again later, or in smaller parts")
        self.used += size

    def give_back(self, size: int) -> None:
        """Give them back."""
        self.used -= size
