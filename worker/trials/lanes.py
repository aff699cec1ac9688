"""Lanes: items go side by side, and those under suspicion go apart."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


#: A larger trial would leave too many to be tried alone when something comes of it.
_LARGEST = 32


class Company(Enum):
    """Who may be on their way beside an item."""

    MANY = auto()  #: any that may be beside many
    FEW = auto()  #: others under suspicion: none at first, and twice as many whenever all came through
    NONE = auto()  #: nobody


class Lanes:
    """Lets any number in together, or a trial of suspects; for one event loop.

    Both get their turn: who waits for a trial lets nobody else in before, and when it is over, all who wait by then
    are let in before the next one. Of those who wait for a trial, whoever is under the least suspicion goes first.

    Whole fleets are preempted, and then all that was in flight is under suspicion. So a trial that all come through
    makes the next one twice as large, and one that anything came of begins again with one item.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._trial = False
        #: How many the trial under way may have, and has let in.
        self._room = self._let_in = 0
        #: How many the next trial may have.
        self._most = 1
        self._failed = False
        #: The ranks of those who wait for a trial.
        self._suspects: list[int] = []
        self._waiting = 0
        #: How many of those who wait to go together are to be let in before the next trial.
        self._first = 0
        self._waiters: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def lane(self, company: Company, *, rank: int = 0) -> AsyncGenerator[bool]:
        """A way for one item, for as long as the block lasts; an exception that leaves it says that something died.

        Args:
            company: who may be on their way meanwhile.
            rank: of several that are to be tried, the lowest goes first.

        Yields:
            Whether it is alone.
        """
        alone = await (self._turn() if company is Company.MANY else self._turn_of_suspect(company, rank))
        self._inside += 1
        try:
            yield alone
        except BaseException:
            self._failed = True
            raise
        finally:
            self._inside -= 1
            self._leave()

    async def _turn(self) -> bool:
        self._waiting += 1
        try:
            while self._trial or (self._suspects and not self._first):
                await self._change()
        finally:
            self._waiting -= 1
            self._first = max(0, self._first - 1)
            self._tell()
        return False

    async def _turn_of_suspect(self, company: Company, rank: int) -> bool:
        self._suspects.append(rank)
        try:
            while not self._may_be_tried(company, rank):
                await self._change()
            if not self._trial:
                self._trial = True
                self._room, self._let_in = self._most if company is Company.FEW else 1, 0
            self._let_in += 1
        finally:
            self._suspects.remove(rank)
            self._tell()
        return self._room == 1

    def _may_be_tried(self, company: Company, rank: int) -> bool:
        if rank > min(self._suspects):
            return False
        if self._trial:
            return company is Company.FEW and self._let_in < self._room
        return not self._inside and not self._first

    def _leave(self) -> None:
        if self._trial and not self._inside:
            self._trial = False
            self._first = self._waiting
            if self._room == self._most:
                self._most = min(2 * self._most, _LARGEST)
        if self._failed and not self._trial:
            self._most = 1
            self._failed = False
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
