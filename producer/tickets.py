"""Tickets: what adding one record gives back."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Literal

from persqa.additions import Added
from persqa.errors import KeyTaken, RunStopped
from persqa.pairs import PENDING

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from persqa.additions import Place
    from persqa.items import ItemId
    from persqa.pairs import PairRow
    from persqa.results import Status
    from producer.watch import Awaited, Watch


class Ticket:
    """One record of an open run, whose results can be waited for, by any number of threads and tasks.

    What it once gave stays, even if its record is requeued later. The ticket of a record that took another one's place
    waits for its own results.
    """

    def __init__(self, watch: Watch, place: Place, key: str | None) -> None:
        self._watch = watch
        self._rows: dict[ItemId, PairRow] = {}
        #: Where the record stands, and what became of it.
        self.place = place
        #: What names the record; None where its content does.
        self.key = key

    @property
    def added(self) -> Added:
        """What became of the record: `added`, `known`, `replaced` or `refused`."""
        return self.place.added

    @property
    def position(self) -> int:
        """The place of the record in the run, from 0."""
        return self.place.position

    @property
    def items(self) -> tuple[ItemId, ...]:
        """The numbers of its items, one for each question; one for a wrong record; none for a refused one."""
        return self.place.items

    @property
    def status(self) -> Status | Literal["pending"]:
        """How its first question has ended; `pending` until then.

        Raises:
            RunNotFound: the run was deleted.
            KeyTaken: the record was refused.
        """
        row = self._rows.get(self.first) or self._watch.row(self.first)
        if row is None:
            return PENDING
        return self._keep(self.first, row).status

    def result(self, timeout: float | None = None) -> PairRow:
        """Its first question with the result, which is waited for.

        Args:
            timeout: longest wait in seconds.

        Raises:
            TimeoutError: it took longer.
            RunStopped: the run was cancelled, has paused itself by a stop rule, or is being deleted; or the client was
                closed.
            RunNotFound: the run was deleted.
            KeyTaken: the record was refused.
            SettingsError: the worker that this client started cannot start its engine.
            WorkerDied: the worker that this client started has ended.
        """
        return self._wait_for([self.first], timeout)[0]

    def results(self, timeout: float | None = None) -> list[PairRow]:
        """All its questions with their results, as `result`."""
        return self._wait_for(list(self.items), timeout)

    def __await__(self) -> Generator[None, None, PairRow]:
        """Wait for `result` in a program of asyncio; the loop goes on meanwhile."""
        return self._await().__await__()

    def __repr__(self) -> str:
        named = "" if self.key is None else f" {self.key!r}"
        return f"<Ticket{named}: record {self.position + 1}, {self.added}>"

    @property
    def first(self) -> ItemId:
        """The number of its first item; raises KeyTaken where the record was refused."""
        if not self.items:
            raise KeyTaken(f"the record {self.key!r} was refused, as another one of its key is there")
        return self.items[0]

    def _keep(self, item_id: ItemId, row: PairRow) -> PairRow:
        return self._rows.setdefault(item_id, row)

    def _wait_for(self, item_ids: list[ItemId], timeout: float | None) -> list[PairRow]:
        end = None if timeout is None else time.monotonic() + timeout
        asked = {item_id: self._watch.ask(item_id) for item_id in item_ids if item_id not in self._rows}
        try:
            for item_id, awaited in asked.items():
                left = None if end is None else max(0.0, end - time.monotonic())
                self._keep(item_id, awaited.result(left))
        except TimeoutError:
            raise self._late(timeout) from None
        except CancelledError:
            raise self._closed() from None
        finally:
            _withdraw(asked)
        return [self._rows[item_id] for item_id in item_ids]

    async def arrive(self, item_ids: Sequence[ItemId], timeout: float | None) -> list[PairRow]:
        """Wait for some of its items as `results` does, in a program of asyncio."""
        asked = {item_id: self._watch.ask(item_id) for item_id in item_ids if item_id not in self._rows}
        try:
            async with asyncio.timeout(timeout):
                for item_id, awaited in asked.items():
                    self._keep(item_id, await self._arrived(awaited))
        except TimeoutError:
            raise await asyncio.to_thread(self._late, timeout) from None
        finally:
            _withdraw(asked)
        return [self._rows[item_id] for item_id in item_ids]

    async def _arrived(self, awaited: Awaited) -> PairRow:
        try:
            return await asyncio.wrap_future(awaited)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._closed() from None

    async def _await(self) -> PairRow:
        return (await self.arrive([self.first], None))[0]

    def _late(self, timeout: float | None) -> TimeoutError:
        late = f"{self!r} has no result after {timeout} s"
        return TimeoutError(": ".join(filter(None, [late, self._watch.reason()])))

    def _closed(self) -> RunStopped:
        return RunStopped(f"the client was closed while {self!r} was waited for")


def _withdraw(asked: dict[ItemId, Awaited]) -> None:
    for awaited in asked.values():
        awaited.cancel()
