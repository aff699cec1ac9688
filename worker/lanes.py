"""Lanes: items go side by side, and one that is under suspicion goes alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Lanes:
    """Lets any number in together, or exactly one; for one event loop.

    Both get their turn: who waits to be alone lets nobody else in before, and when it has been, all who wait by then
    are let in before the next one that is to be alone. Of those, whoever is under the least suspicion goes first.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._alone = False
        self._waiting = 0
        #: The ranks of those who wait to be alone.
        self._waiting_alone: list[int] = []
        #: How many of those who wait to go together are to be let in before the next one alone.
        self._first = 0
        self._waiters: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def lane(self, *, alone: bool, rank: int = 0) -> AsyncGenerator[None]:
        """A way for one item, for as long as the block lasts.

        Args:
            alone: whether nothing else is to be on its way meanwhile.
            rank: of several that are to go alone, the lowest goes first.
        """
        await (self._turn_alone(rank) if alone else self._turn())
        self._inside += 1
        self._alone = alone
        try:
            yield
        finally:
            self._inside -= 1
            if alone:
                self._alone = False
                self._first = self._waiting
            self._tell()

    async def _turn(self) -> None:
        self._waiting += 1
        try:
            while self._alone or (self._waiting_alone and not self._first):
                await self._change()
        finally:
            self._waiting -= 1
            self._first = max(0, self._first - 1)
            self._tell()

    async def _turn_alone(self, rank: int) -> None:
        self._waiting_alone.append(rank)
        try:
            while self._inside or self._first or rank > min(self._waiting_alone):
                await self._change()
        finally:
            self._waiting_alone.remove(rank)
            self._tell()

    async def _change(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _tell(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
