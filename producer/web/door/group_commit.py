"""GroupCommit: what comes for one run at the same moment is added together, as each transaction costs milliseconds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from persqa.errors import BrokerUnavailable, PersqaError, RunNotFound
from producer.adding import AT_ONCE
from producer.web.door.problems import Problem, queue_full

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.records import RawRecord
    from persqa.runs import Run, RunId
    from producer.adding import Adder, Done
    from producer.client import Client

#: Bytes of records that are added at once.
BYTES_AT_ONCE = 8 * 2**20
#: Transactions at once, and runs that are remembered.
_THREADS, _MOST_RUNS = 6, 256


@dataclass(frozen=True, slots=True)
class _Load:
    """What one request adds at once; `size` are its bytes."""

    records: Sequence[RawRecord]
    size: int
    replacing: bool
    done: asyncio.Future[Done]


class GroupCommit:
    """One transaction at a time for each run that something is added to; for one event loop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: dict[str, deque[_Load]] = {}
        self._adders: OrderedDict[RunId, Adder] = OrderedDict()
        self._threads = CapacityLimiter(_THREADS)
        self._tasks = set[asyncio.Task[None]]()

    async def add(self, run: str, records: Sequence[RawRecord], size: int, *, replacing: bool) -> Done:
        """Add records, at most a thousand; they are in the ledger when this returns, and enqueued.

        Raises:
            Problem: the queue is full, and nothing was added.
            PersqaError: as of `Adder.add_raw`, or there is no such run.
        """
        load = _Load(records, size, replacing, asyncio.get_running_loop().create_future())
        if run in self._waiting:
            self._waiting[run].append(load)
        else:
            self._waiting[run] = deque([load])
            task = asyncio.create_task(self._run(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await load.done

    async def _run(self, run: str) -> None:
        """Add what there is, and what has come meanwhile, until nothing has."""
        waiting = self._waiting[run]
        while waiting:
            loads = _together(waiting)
            try:
                results = await to_thread.run_sync(self._add, run, loads, limiter=self._threads)
            except BaseException as error:
                for load in (*loads, *waiting):
                    load.done.cancel()
                del self._waiting[run]
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise AssertionError("each load has its own error") from error
            for load, result in zip(loads, results, strict=True):
                # Who has gone does not wait for it.
                if not load.done.done():
                    load.done.set_exception(result) if isinstance(result, Exception) else load.done.set_result(result)
        del self._waiting[run]

    def _add(self, run: str, loads: Sequence[_Load]) -> list[Done | Exception]:
        try:
            return _apart(self._add_all(run, loads), loads)
        except Exception as error:  # noqa: BLE001 - each of them gets it
            mine = isinstance(error, PersqaError | Problem) and not isinstance(error, BrokerUnavailable)
            if len(loads) == 1 or not mine:
                return [error for _ in loads]
        # It may be of one of them only.
        return [one for load in loads for one in self._add(run, [load])]

    def _add_all(self, run: str, loads: Sequence[_Load]) -> Done:
        adder = self._adder(self._client.store.runs.find(run))
        records = [record for load in loads for record in load.records]
        if not adder.has_room(len(records)):
            raise queue_full()
        try:
            added = adder.add_raw(records, replacing=loads[0].replacing, on_full=_give_up)
            return [one for batch in added for one in batch]
        except RunNotFound:
            self._adders.pop(adder.run.id, None)
            raise

    def _adder(self, run: Run) -> Adder:
        """That of this run, by its number: another one may have had its name."""
        adder = self._adders.get(run.id) or self._client.adder(run)
        self._adders[run.id] = adder
        while len(self._adders) > _MOST_RUNS:
            self._adders.popitem(last=False)
        return adder


def _together(waiting: deque[_Load]) -> list[_Load]:
    """The first ones that make no more than one transaction."""
    loads = [waiting.popleft()]
    records, size = len(loads[0].records), loads[0].size
    while waiting and waiting[0].replacing is loads[0].replacing:
        records, size = records + len(waiting[0].records), size + waiting[0].size
        if records > AT_ONCE or size > BYTES_AT_ONCE:
            break
        loads.append(waiting.popleft())
    return loads


def _apart(done: Done, loads: Sequence[_Load]) -> list[Done | Exception]:
    """What became of the records of each."""
    remaining = iter(done)
    return [[next(remaining) for _ in load.records] for load in loads]


def _give_up() -> None:
    raise BrokerUnavailable("the queue has become full")
