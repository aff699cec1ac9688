"""Reconciler: pending items that are in no queue and under no lease are enqueued again.

So a run survives `FLUSHALL`, a restart of Redis without persistence, a failover that lost the last writes, and a
producer that was killed.
"""

from __future__ import annotations

import logging
import random
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice, takewhile
from threading import Event
from typing import TYPE_CHECKING

from persqa.broker.depth import Inspector
from persqa.broker.keys import places_for
from persqa.broker.publisher import Publisher
from persqa.broker.publishing import Publishing
from persqa.broker.reconciling_lock import ReconcilingLock
from persqa.enqueueing import BATCH, enqueue
from persqa.errors import RowRefused, RunNotFound, RunStopped
from persqa.items import MAX_ITEMS, ItemId
from persqa.messages import item_of
from persqa.reasons import Reason
from persqa.required import require_broker
from persqa.results import Outcome
from persqa.settings import Settings
from persqa.words import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from persqa.runs import Run, RunId
    from persqa.store import Store

logger = logging.getLogger(__name__)

#: An item that vanishes alone so many times is given up.
MOST_RECOVERIES = 5
_LOST = f"enqueued again {MOST_RECOVERIES} times, and lost by the queue each time"
_SECOND_LOOK_SECONDS = 1.0
#: Longer queues are looked through less often: they feed the workers for a while, and a loss of all of Redis makes
#: them short.
_LONG = 10_000
_SELDOM = 10


class _Stopped(Exception):
    """The look ends here."""


@dataclass(frozen=True, slots=True)
class _Lost:
    """What is lost of a run.

    Attributes:
        item_ids: in order.
        alone: whether other items of the run are still there, so that these were not lost with the whole queue.
        mark: whether to mark the run as enqueued up to these; not while a producer does that.
    """

    run: Run
    item_ids: Sequence[ItemId]
    alone: bool
    mark: bool


class Reconciler:
    """Looks for lost items of one ledger at one broker; every program that waits for a run or works on one has one."""

    def __init__(self, store: Store, settings: Settings, *, stop: Event | None = None) -> None:
        """Prepare, without connecting.

        Args:
            store: the ledger.
            settings: the broker, and the bound of its queues.
            stop: when set, a look under way ends; the next one finds the rest.
        """
        self._store = store
        self._url = require_broker(settings)
        self._queue_bound = settings.queue_bound
        self._every = settings.reconcile_seconds
        self._stop = stop or Event()

    def reconcile(self) -> int:
        """Look once, unless another program has just looked; returns how many items were enqueued again.

        Raises:
            StoreUnavailable: the database does not answer.
            BrokerUnavailable: Redis does not answer, or is full.
        """
        with (
            closing(ReconcilingLock(self._url, ledger=self._store.ledger.id)) as lock,
            closing(Inspector(self._url)) as inspector,
            suppress(_Stopped),
        ):
            if lock.take(self._every) and (found := self._look(inspector, lock)):
                return self._recover_all(found, lock)
        return 0

    def _recover_all(self, found: Sequence[_Lost], lock: ReconcilingLock) -> int:
        recovered = 0
        ledger = self._store.ledger.id
        with (
            closing(Publisher(self._url, ledger=ledger, queue_bound=self._queue_bound)) as publisher,
            suppress(_Stopped),
        ):
            for lost in found:
                try:
                    recovered += self._recover(lost, publisher, lock)
                except (RunStopped, RunNotFound):
                    # Paused, cancelled or deleted meanwhile.
                    continue
                except RowRefused as error:
                    logger.error("run %s: %s; its lost items are looked for again later", lost.run.name, error)
        return recovered

    def _look(self, inspector: Inspector, lock: ReconcilingLock) -> list[_Lost]:
        """Find what is lost; reads every queue once, or twice where something seems to be lost."""
        # The order matters: an item acknowledged after the look into the queues has a result by then, and one that is
        # first enqueued after it is behind the mark.
        forgot = lock.broker_forgot()
        runs = self._store.runs.unfinished(inspector.identity())
        busy = self._busy(runs)
        room = self._room(runs, inspector, lock)
        missing = self._missing(runs, busy, room, there=self._there(inspector, room), lock=lock)
        if not missing:
            return []
        # A message that moves during the look can be missed once, but not twice.
        self._stop.wait(_SECOND_LOOK_SECONDS)
        there = self._there(inspector, room)
        forgot = lock.broker_forgot() or forgot
        seen = {item_id // MAX_ITEMS for item_id in there}
        ended = self._store.results.ended(item_id for item_ids in missing.values() for item_id in item_ids)
        return [
            _Lost(run, still, alone=run.id in seen and not forgot, mark=run.id not in busy)
            for run in runs
            if (still := [one for one in missing.get(run.id, ()) if one not in there and one not in ended])
        ]

    def _busy(self, runs: Sequence[Run]) -> set[RunId]:
        """The runs that a producer is enqueueing; what it has not come to is not lost."""
        with closing(Publishing(self._url, ledger=self._store.ledger.id)) as publishing:
            return publishing.under_way([run.id for run in runs])

    def _room(self, runs: Sequence[Run], inspector: Inspector, lock: ReconcilingLock) -> dict[str | None, int]:
        """The models whose queues are looked through this time, and how many more messages each may get."""
        room: dict[str | None, int] = {}
        for model in dict.fromkeys(run.options.model for run in runs):
            places = inspector.backlog(places_for(self._store.ledger.id, model))
            waiting = sum(queue.waiting for queue in places.queues)
            if waiting <= _LONG or lock.take(_SELDOM * self._every, str(model)):
                # The rest can wait until there is room, as the workers have enough to do.
                room[model] = max(0, self._queue_bound - waiting)
        return room

    def _there(self, inspector: Inspector, models: Collection[str | None]) -> set[ItemId]:
        """The ledger's items that wait for these models, or that workers hold."""
        ledger = self._store.ledger.id
        tasks = inspector.task_ids(*places_for(ledger, *models)) if models else set[str]()
        return {item_id for task in tasks if (item_id := item_of(task, ledger)) is not None}

    def _missing(
        self,
        runs: Sequence[Run],
        busy: Collection[RunId],
        room: Mapping[str | None, int],
        *,
        there: Collection[ItemId],
        lock: ReconcilingLock,
    ) -> dict[RunId, list[ItemId]]:
        """The pending items of each run that were not seen, no more than there is room for."""
        left = dict(room)
        missing: dict[RunId, list[ItemId]] = {}
        # In another order each time, because a large run may take all the room for many looks.
        for run in random.sample(runs, len(runs)):
            self._go_on(lock)
            model = run.options.model
            # A run that grows has a queue of its own.
            most = 0 if model not in left else self._queue_bound if run.grows else left[model]
            if most:
                pending = self._store.ledger.pending_ids(run.id, tidy=True)
                known = takewhile(lambda item_id, of=run: of.id not in busy or item_id <= of.published_to, pending)
                found = list(islice((one for one in known if one not in there), most))
                left[model] -= 0 if run.grows else len(found)
                missing[run.id] = found
        return {run_id: found for run_id, found in missing.items() if found}

    def _go_on(self, lock: ReconcilingLock) -> None:
        """Keep the lock between two steps, or stop."""
        if self._stop.is_set():
            raise _Stopped
        lock.keep(self._every)

    def _recover(self, lost: _Lost, publisher: Publisher, lock: ReconcilingLock) -> int:
        run, recovered = lost.run, 0
        for start in range(0, len(lost.item_ids), BATCH):
            self._go_on(lock)
            some = lost.item_ids[start : start + BATCH]
            # What was never enqueued was not lost, and what is lost with the whole queue is not to blame.
            blamed = [item_id for item_id in some if lost.alone and item_id <= run.published_to]
            given_up = self._give_up(run, blamed)
            again = self._store.ledger.chosen([item_id for item_id in some if item_id not in given_up])
            if again:
                up_to = again[-1].id if lost.mark else None
                enqueue(self._store, publisher, run, again, on_full=_stop_when_full, up_to=up_to)
                # Not before: an item that could not be enqueued was not lost once more.
                self._store.ledger.count_recoveries([item_id for item_id in blamed if item_id not in given_up])
                recovered += len(again)
        if recovered:
            items = counted(recovered, "item was in no queue, and is", "items were in no queue, and are")
            logger.warning("run %s: %s enqueued again", run.name, items)
        return recovered

    def _give_up(self, run: Run, blamed: Sequence[ItemId]) -> set[ItemId]:
        """End those that were lost too often, with the reason that workers gave if they gave one."""
        given_up = self._store.ledger.recovered(blamed, times=MOST_RECOVERIES)
        reasons = self._store.dead_letters.reasons(given_up)
        self._store.results.commit(
            [Outcome.dead(item_id, run.id, *reasons.get(item_id, (Reason.LOST, _LOST))) for item_id in given_up]
        )
        return given_up


def _stop_when_full() -> None:
    """Do not wait: the queue or Redis' memory is full, so the workers have enough to do."""
    raise _Stopped
