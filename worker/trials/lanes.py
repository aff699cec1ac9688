"""Lanes: let items run side by side, and try items under suspicion apart from the others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


#: The most items in one trial; after a trial that fails, each is tried alone.
_LARGEST_TRIAL = 32


class Company(Enum):
    """Which other items may run beside an item."""

    MANY = auto()  #: all others that may run beside many
    FEW = auto()  #: others under suspicion, up to the size of the trial
    NONE = auto()  #: none


@dataclass(slots=True)
class _Trial:
    size: int
    admitted: int = 0


class Lanes:
    """Lets in either any number of items together, or one trial of suspects; for one event loop.

    Both kinds take turns. While an item waits for a trial, no other item is let in. When a trial has ended, all items
    that wait to run together are let in before the next trial. The item under the least suspicion is tried first.

    If all items survive a trial, the next trial is twice as large; otherwise it has one item. A preempted fleet makes
    suspects of all its items, and gets through them soon in this way.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._trial: _Trial | None = None
        self._next_size = 1
        #: Whether an item in the present trial did not survive.
        self._failed = False
        #: The ranks of the items that wait for a trial.
        self._suspects: list[int] = []
        #: How many items wait to run together.
        self._waiting = 0
        #: How many of those come before the next trial.
        self._before_trial = 0
        self._waiters: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def lane(self, company: Company, *, rank: int = 0) -> AsyncGenerator[bool]:
        """Keep a lane for one item during the block, and yield whether it is alone.

        An exception from the block means that an engine died.

        Args:
            company: which other items may run meanwhile.
            rank: the item with the lowest rank is tried first.
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
        """Wait until an item has entered or left."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
