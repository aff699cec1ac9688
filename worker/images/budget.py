"""Budget: how much memory the images of a worker take. Images that find no room in it wait.

An item keeps its images until it is answered, and may wait for room for the next one meanwhile; so all items could wait
for each other for ever. The oldest item never waits for others to end. So it ends, and then another one is the oldest.
"""

from __future__ import annotations

import asyncio
import ctypes
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

#: The place of an item in the order in which they began.
Age = NewType("Age", int)

#: Parameters of `mallopt`, and their values in bytes.
_TRIM_THRESHOLD = -1, 16 * 2**20
_MMAP_THRESHOLD = -3, 8 * 2**20

#: The part of the budget that only the oldest item may use.
_KEPT_FREE = 0.25


def give_back_at_once() -> None:
    """Have the memory of large images go back to the system at once, where the C library is glibc.

    By itself it learns from the first ones to keep up to 64 MB for each thread, for others that never come.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, size in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(parameter, size)


class Budget:
    """Lends memory to images, those of older items first; for one event loop.

    What is larger than the budget is lent to the oldest item, as soon as nothing else is being decoded.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._for_all = most_bytes - int(most_bytes * _KEPT_FREE)
        #: The oldest one first.
        self._items: dict[Age, None] = {}
        self._ages = count()
        self._waiting: set[Share] = set()
        #: Those that wait, by the place that they have in the order, and what is left of others.
        self._order: list[tuple[int, int, Share]] = []
        self._decoding: set[Share] = set()
        self._granting = False
        #: Bytes that are lent.
        self.used = 0
        #: Gives back, if it can, so many bytes that nobody uses.
        self.make_room: Callable[[int], object] = lambda _lacking: None

    @contextmanager
    def item(self) -> Generator[Age]:
        """Give an item its place in the order, for the time of the block."""
        age = Age(next(self._ages))
        self._items[age] = None
        try:
            yield age
        finally:
            del self._items[age]
            self.grant()

    def wait(self, share: Share) -> None:
        """Grant what the share wants, now or later."""
        self._waiting.add(share)
        self.place(share)
        self.grant()

    def place(self, share: Share) -> None:
        """Give the share its place in the order, which it has anew when other items want the image."""
        if share in self._waiting:
            heappush(self._order, (share.rank(), id(share), share))

    def forget(self, share: Share) -> bool:
        """Let the share wait no longer; returns whether it did."""
        waited = share in self._waiting
        self._waiting.discard(share)
        return waited

    def take_back(self, share: Share, size: int) -> None:
        """Leave the share so many bytes."""
        self._decoding.discard(share)
        self.used += size - share.size
        share.size = size
        self.grant()

    def grant(self) -> None:
        """Let those go on that there is room for, the image of the oldest item first, and nobody ahead of another."""
        if self._granting:
            return
        self._granting = True
        try:
            while (share := self._first()) is not None and self._has_room(share):
                self._waiting.discard(share)
                self.used += share.wanted - share.size
                share.size = share.wanted
                if share.decodes:
                    self._decoding.add(share)
                share.go_on()
        finally:
            self._granting = False

    def _first(self) -> Share | None:
        """The first in the order of those that wait, found without looking at all of them: they are many."""
        while self._order:
            rank, _, share = self._order[0]
            if share in self._waiting and share.rank() == rank:
                return share
            heappop(self._order)
        return None

    def _has_room(self, share: Share) -> bool:
        oldest = next(iter(self._items), None) in share.users
        most = self.most_bytes if oldest else self._for_all
        if (lacking := self.used + share.wanted - share.size - most) > 0:
            self.make_room(lacking)
        if self.used + share.wanted - share.size <= most:
            return True
        return oldest and not self._decoding


class Share:
    """What one image has of the budget, and which items want the image."""

    def __init__(self, budget: Budget, age: Age) -> None:
        self._budget = budget
        self._granted: asyncio.Future[None] | None = None
        self.users = {age}
        #: Bytes it has, bytes it has or waits for, and whether those are for decoding.
        self.size = 0
        self.wanted = 0
        self.decodes = False

    def rank(self) -> int:
        """The place of the image among those that wait; that of the oldest item that wants it."""
        return min(self.users)

    async def reserve(self, size: int, *, decodes: bool = False) -> None:
        """Wait until the image may take so many bytes in all.

        Raises:
            CancelledError: no item wants it any longer.
        """
        if not self.users:
            raise asyncio.CancelledError
        self.wanted, self.decodes = size, decodes
        self._granted = asyncio.get_running_loop().create_future()
        self._budget.wait(self)
        try:
            await self._granted
        finally:
            self._budget.forget(self)

    def keep(self, size: int) -> None:
        """Keep so many bytes, and return the others."""
        self._budget.take_back(self, size)

    def join(self, age: Age) -> None:
        """Note that one more item wants the image."""
        self.users.add(age)
        self._budget.place(self)
        self._budget.grant()

    def leave(self, age: Age) -> bool:
        """Note that an item wants it no longer; returns whether the image waits in vain, and is not loaded."""
        self.users.discard(age)
        if self.users:
            self._budget.place(self)
            return False
        if not self._budget.forget(self) or self._granted is None:
            return False
        self._granted.cancel()
        return True

    def go_on(self) -> None:
        """End the waiting."""
        # It may have been cancelled, and not have noticed yet.
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(None)
