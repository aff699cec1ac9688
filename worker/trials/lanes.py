"""Lanes: items go side by side, and those under suspicion go apart."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


#: Items in one trial, at most: if one of them is deadly, each is tried alone next.
_LARGEST_TRIAL = 32


class Company(Enum):
    """Who may be on their way beside an item."""

    MANY = auto()  #: all others that may be beside many
    FEW = auto()  #: others under suspicion, as many as a trial may have
    NONE = auto()  #: nobody


@dataclass(slots=True)
class _Trial:
    """The trial under way.

    Attributes:
        size: how many it may have.
        admitted: how many it has let in.
    """

    size: int
    admitted: int = 0


class Lanes:
    """Lets any number of items in together, or a trial of suspects; for one event loop.

    Both kinds get their turn. While an item waits for a trial, no other is let in. When a trial is over, all that wait
    by then to go together are let in before the next trial. The item under the least suspicion is tried first.

    A trial that all survive makes the next one twice as large; after a trial that one item does not survive, the next
    one is of one item. So a preempted fleet, which makes everything that was in flight a suspect, is soon through.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._trial: _Trial | None = None
        self._next_size = 1
        #: Whether an item inside did not survive.
        self._failed = False
        #: The ranks of those that wait for a trial.
        self._suspects: list[int] = []
        #: How many wait to go together.
        self._waiting = 0
        #: How many of those are let in before the next trial.
        self._before_trial = 0
        self._waiters: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def lane(self, company: Company, *, rank: int = 0) -> AsyncGenerator[bool]:
        """Keep a lane for one item while the block lasts; an exception out of the block means that something died.

        Args:
            company: who may be on their way meanwhile.
            rank: of several that wait for a trial, the lowest goes first.

        Yields:
            Whether it is alone.
        """
        alone = await (self._enter() if company is Company.MANY else self._enter_trial(company, rank))
        self._inside += 1
        try:
            yield alone
        except BaseException:
            self._failed = True
            raise
        finally:
            self._inside -= 1
            self._leave()

    async def _enter(self) -> bool:
        self._waiting += 1
        try:
            while self._trial is not None or (self._suspects and not self._before_trial):
                await self._change()
        finally:
            self._waiting -= 1
            self._before_trial = max(0, self._before_trial - 1)
            self._wake_waiters()
        return False

    async def _enter_trial(self, company: Company, rank: int) -> bool:
        self._suspects.append(rank)
        try:
            while not self._may_be_tried(company, rank):
                await self._change()
            if self._trial is None:
                self._trial = _Trial(self._next_size if company is Company.FEW else 1)
            self._trial.admitted += 1
        finally:
            self._suspects.remove(rank)
            self._wake_waiters()
        return self._trial.size == 1

    def _may_be_tried(self, company: Company, rank: int) -> bool:
        if rank > min(self._suspects):
            return False
        if self._trial is not None:
            return company is Company.FEW and self._trial.admitted < self._trial.size
        return not self._inside and not self._before_trial

    def _leave(self) -> None:
        if self._trial is not None and not self._inside:
            if self._trial.size == self._next_size:
                self._next_size = min(2 * self._next_size, _LARGEST_TRIAL)
            self._trial = None
            self._before_trial = self._waiting
        if self._failed and self._trial is None:
            self._next_size = 1
            self._failed = False
        self._wake_waiters()

    async def _change(self) -> None:
        """Wait until anything has changed."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
