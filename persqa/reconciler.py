"""Reconciler: pending items that are in no queue and under no lease are enqueued again.

So a run survives `FLUSHALL`, a restart of Redis without persistence, and a failover that lost the last writes.
"""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from threading import Event
from typing import TYPE_CHECKING

from persqa.broker.depth import Inspector
from persqa.broker.keys import queue_for, queues_for
from persqa.broker.publisher import Publisher
from persqa.broker.reconciling_lock import ReconcilingLock
from persqa.controls import queue_now
from persqa.enqueueing import BATCH, enqueue
from persqa.errors import RunStopped
from persqa.reasons import Reason
from persqa.results import Outcome
from persqa.settings import Settings, require_broker

if TYPE_CHECKING:
    from persqa.items import Item
    from persqa.runs import Run
    from persqa.store import Store

logger = logging.getLogger(__name__)

#: An item that the queue has lost so many times is given up.
MOST_RECOVERIES = 5
_LOST = f"enqueued again {MOST_RECOVERIES} times, and lost by the queue each time"
_SECOND_LOOK_SECONDS = 1.0
#: A longer queue is looked through less often: it feeds the workers for a while, and a loss of all of Redis makes it
#: short.
_LONG = 10_000
_SELDOM = 10


class _Stopped(Exception):
    """The look ends here."""


class Reconciler:
    """Looks for lost items; every program that waits for a run or works on one has one."""

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
        with closing(ReconcilingLock(self._url)) as lock, closing(Inspector(self._url)) as inspector:
            if not lock.take(self._every):
                return 0
            recovered = 0
            with suppress(_Stopped):
                for run in self._store.runs.unfinished():
                    # This run may be paused or cancelled meanwhile; the look goes on with the others.
                    with suppress(RunStopped):
                        recovered += self._reconcile(run, inspector, lock)
            return recovered

    def _reconcile(self, run: Run, inspector: Inspector, lock: ReconcilingLock) -> int:
        self._go_on(lock)
        if self._store.runs.awaits_publishing(run.id):
            # The program that resumed it may be about to enqueue its items, or knows no broker and cannot.
            self._stop.wait(_SECOND_LOOK_SECONDS)
            if self._store.runs.adopt(run.id):
                logger.info("run %s was resumed, and nobody has enqueued it: it is enqueued now", run.name)
        waiting = inspector.depth(queue_for(run.options.model, run.priority)).waiting
        if waiting > _LONG and not lock.take(_SELDOM * self._every, run.id):
            return 0
        lost = self._lost(run, inspector, lock)
        if not lost:
            return 0
        # A message that moves during the look can be missed once, but not twice.
        self._stop.wait(_SECOND_LOOK_SECONDS)
        still = {item.id for item in self._lost(run, inspector, lock)}
        # The rest can wait until there is room, as the workers have enough to do.
        room = max(0, self._queue_bound - inspector.depth(queue_now(self._store, run)).waiting)
        return self._recover(run, [item for item in lost if item.id in still][:room], lock)

    def _lost(self, run: Run, inspector: Inspector, lock: ReconcilingLock) -> list[Item]:
        # The order matters: an item acknowledged after the look into the queue has a result by then, and one that is
        # first enqueued after it is behind the mark.
        mark = self._store.runs.published_to(run.id)
        there = inspector.task_ids(*queues_for(run.options.model))
        lost: list[Item] = []
        for chunk in self._store.ledger.pending(run.id, chunk=BATCH):
            self._go_on(lock)
            lost += [item for item in chunk if item.id <= mark and str(item.id) not in there]
            if chunk[-1].id > mark:
                break
        return lost

    def _go_on(self, lock: ReconcilingLock) -> None:
        """Keep the lock between two steps, or stop."""
        if self._stop.is_set():
            raise _Stopped
        lock.keep(self._every)

    def _recover(self, run: Run, lost: list[Item], lock: ReconcilingLock) -> int:
        recovered = 0
        with closing(Publisher(self._url, queue_bound=self._queue_bound)) as publisher:
            for start in range(0, len(lost), BATCH):
                self._go_on(lock)
                some = lost[start : start + BATCH]
                given_up = self._store.ledger.recovered([item.id for item in some], times=MOST_RECOVERIES)
                dead = [Outcome.dead(item.id, item.run_id, Reason.LOST, _LOST) for item in some if item.id in given_up]
                self._store.results.commit(dead)
                again = [item for item in some if item.id not in given_up]
                if again:
                    enqueue(self._store, publisher, run, again, on_full=_stop_when_full, mark=False)
                    # Not before: an item that could not be enqueued was not lost once more.
                    self._store.ledger.count_recoveries([item.id for item in again])
                    recovered += len(again)
        if recovered:
            logger.warning("run %s: the queue had lost %d items, they are enqueued again", run.name, recovered)
        return recovered


def _stop_when_full() -> None:
    """Do not wait: the queue or Redis' memory is full, so the workers have enough to do."""
    raise _Stopped
