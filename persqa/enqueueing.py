"""Enqueueing: items of the ledger go into the queue in batches, at a submit, a resume and a reconciliation.

Before every batch the ledger is asked for the run's state and priority: see docs/reliability.md.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from persqa.broker.keys import queues_for
from persqa.controls import queue_now
from persqa.errors import BrokerFull

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.broker.depth import Inspector
    from persqa.broker.publisher import Publisher
    from persqa.items import Item
    from persqa.runs import Run
    from persqa.store import Store

#: Items enqueued in one round trip.
BATCH = 1000
_POLL_SECONDS = 0.2


def enqueue(
    store: Store, publisher: Publisher, run: Run, batch: Sequence[Item], *, on_full: Callable[[], object], mark: bool
) -> None:
    """Enqueue all items of a batch as soon as there is room; after an error none is enqueued, as far as is known.

    Args:
        store: the ledger.
        publisher: the broker.
        run: the run of the items.
        batch: the items, in the ledger's order.
        on_full: called repeatedly while there is no room in the queue, or in Redis' memory; may raise to give up.
        mark: whether to note before that items up to the last of these are enqueued. Not for items that were enqueued
            before: the run's mark may have been set back by a pause since.

    Raises:
        RunStopped: the run is paused or cancelled.
        StoreUnavailable: the database does not answer.
        BrokerUnavailable: Redis does not answer.
    """
    while True:
        queue = queue_now(store, run)
        if publisher.has_room(queue, len(batch)):
            entries = publisher.entries(batch, run, queue)
            if mark:
                store.runs.mark_published(run.id, batch[-1].id)
            with suppress(BrokerFull):
                publisher.push(queue, entries)
                return
        on_full()
        time.sleep(_POLL_SECONDS)


def enqueue_pending(
    store: Store, publisher: Publisher, inspector: Inspector, run: Run, *, on_full: Callable[[], None]
) -> int:
    """Enqueue all pending items of the run that no queue and no worker has; returns how many.

    Raises:
        RunStopped: the run is paused or cancelled; a resume enqueues the rest.
        BrokerUnavailable: the rest was not enqueued; call again.
    """
    store.runs.begin_publishing(run.id)
    # Reading a long queue takes seconds, and a new run cannot have messages there.
    published = store.runs.published_to(run.id)
    there = inspector.task_ids(*queues_for(run.options.model)) if published else set[str]()
    enqueued = 0
    for chunk in store.ledger.pending(run.id, chunk=BATCH):
        if wanted := [item for item in chunk if str(item.id) not in there]:
            enqueue(store, publisher, run, wanted, on_full=on_full, mark=True)
            enqueued += len(wanted)
    return enqueued
