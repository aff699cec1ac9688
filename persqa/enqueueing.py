"""Enqueueing: items of the ledger go into the queue in batches, at a submit, a resume and a reconciliation.

Before every batch the ledger is asked for the run's state and priority: see docs/reliability.md.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from persqa.broker.keys import places_for, queue_of
from persqa.broker.publishing import Publishing
from persqa.controls import queue_now
from persqa.errors import BrokerFull, BrokerUnavailable
from persqa.messages import task_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.broker.depth import Inspector
    from persqa.broker.publisher import Publisher
    from persqa.items import Item, ItemId
    from persqa.runs import Run
    from persqa.store import Store

#: Items enqueued in one round trip.
BATCH = 1000
_POLL_SECONDS = 0.2


def enqueue(
    store: Store,
    publisher: Publisher,
    run: Run,
    batch: Sequence[Item],
    *,
    on_full: Callable[[], object],
    up_to: ItemId | None,
) -> None:
    """Enqueue all items of a batch as soon as there is room; after an error none is enqueued, as far as is known.

    Args:
        store: the ledger.
        publisher: the broker.
        run: the run of the items.
        batch: the items, in the ledger's order.
        on_full: called repeatedly while there is no room in the queue, or in Redis' memory; may raise to give up.
        up_to: the run is marked before as enqueued up to this item. None for items that were enqueued before: the
            run's mark may have been set back by a pause since.

    Raises:
        RunStopped: the run is paused or cancelled.
        StoreUnavailable: the database does not answer.
        BrokerUnavailable: Redis does not answer.
    """
    queue = queue_of(run, store.ledger.id)
    while True:
        has_room = publisher.has_room(queue, len(batch))
        # Asked afterwards, as room may have been made by a change of the priority.
        queue, seen = queue_now(store, run), queue
        if queue != seen:
            continue
        if has_room:
            entries = publisher.entries(batch, run, queue)
            if up_to is not None:
                store.runs.mark_published(run.id, up_to)
            with suppress(BrokerFull):
                publisher.push(queue, entries)
                return
        on_full()
        time.sleep(_POLL_SECONDS)


def enqueue_added(
    publisher: Publisher, run: Run, added: Sequence[Item], *, waiting: int, on_full: Callable[[], object]
) -> int:
    """Enqueue items that have just been added to an open run, in one round trip where there is room.

    Args:
        publisher: the broker.
        run: the run, as it was when they were added; it is marked already. Workers drop what comes after a pause.
        added: the items.
        waiting: how many messages of it waited, by the last push.
        on_full: as in `enqueue`.

    Returns:
        How many messages of the run wait now.
    """
    queue = queue_of(run, publisher.ledger)
    may_be_full = not publisher.takes(waiting, len(added))
    while True:
        if not may_be_full or publisher.has_room(queue, len(added)):
            with suppress(BrokerFull):
                return publisher.push(queue, publisher.entries(added, run, queue))
        may_be_full = True
        on_full()
        time.sleep(_POLL_SECONDS)


def enqueue_pending(
    store: Store, publisher: Publisher, inspector: Inspector, run: Run, *, on_full: Callable[[], None]
) -> int:
    """Enqueue all pending items of the run that no queue and no worker has; returns how many.

    Raises:
        RunStopped: the run is paused or cancelled; a resume enqueues the rest.
        BrokerUnavailable: the rest was not enqueued; call again, or leave it to the broker's reconcilers.
    """
    run = store.runs.reread(run)
    ledger, enqueued = store.ledger.id, 0
    with closing(Publishing(publisher.url, ledger=ledger)) as publishing:

        def wait_for_room() -> None:
            publishing.goes_on(run.id)
            on_full()

        publishing.goes_on(run.id)
        store.runs.begin_publishing(run, inspector.identity())
        # Reading a long queue takes seconds, and a new run cannot have messages there.
        there = inspector.task_ids(*places_for(ledger, run.options.model)) if run.broker else set[str]()
        for chunk in store.ledger.pending(run.id, chunk=BATCH):
            publishing.goes_on(run.id)
            last = chunk[-1].id
            if wanted := [item for item in chunk if task_id(ledger, item.id) not in there]:
                enqueue(store, publisher, run, wanted, on_full=wait_for_room, up_to=last)
                enqueued += len(wanted)
            else:
                store.runs.mark_published(run.id, last)
        with suppress(BrokerUnavailable):
            publishing.ends(run.id)
    return enqueued
