"""Enqueueing: items of the ledger go into the queue, a batch at a time; who submits, resumes or reconciles does it.

Before every batch the ledger is asked anew where the run's messages go, if anywhere: see docs/reliability.md.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from persqa.broker.keys import queues_for
from persqa.controls import queue_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.broker.depth import Inspector
    from persqa.broker.publisher import Publisher
    from persqa.items import Item
    from persqa.runs import Run
    from persqa.store import Store

#: Enqueued in one round trip.
BATCH = 1000
_POLL_SECONDS = 0.2


def enqueue(
    store: Store, publisher: Publisher, run: Run, batch: Sequence[Item], *, on_full: Callable[[], object], mark: bool
) -> None:
    """Enqueue the items, all or none of them, as soon as there is room.

    Args:
        store: the ledger.
        publisher: the broker.
        run: the run they belong to.
        batch: the items, in the ledger's order.
        on_full: called again and again while there is no room; may raise to give up.
        mark: whether the ledger is told first that items up to the last of these are enqueued. Not so for items that
            were enqueued before: the run may have been paused and resumed since, and its mark set back.

    Raises:
        RunStopped: the run is paused or cancelled; none of them was enqueued.
        StoreUnavailable: the database does not answer; none of them was enqueued.
        BrokerUnavailable: none of them was enqueued, as far as is known.
    """
    while not publisher.has_room(queue := queue_now(store, run), len(batch)):
        on_full()
        time.sleep(_POLL_SECONDS)
    entries = publisher.entries(batch, run, queue)
    if mark:
        store.runs.mark_published(run.id, batch[-1].id)
    publisher.push(queue, entries)


def enqueue_pending(
    store: Store, publisher: Publisher, inspector: Inspector, run: Run, *, on_full: Callable[[], None]
) -> int:
    """Enqueue every item of the run that has no result and is not in a queue or in a worker's hand.

    Returns:
        How many were enqueued.

    Raises:
        RunStopped: the run is paused or cancelled, or was while this went on; whoever resumes it enqueues the rest.
        BrokerUnavailable: the rest was not enqueued; call again.
    """
    store.runs.begin_publishing(run.id)
    # Reading a long queue takes seconds, and nothing can be there yet of a run that is new.
    published = store.runs.published_to(run.id)
    there = inspector.task_ids(*queues_for(run.options.model)) if published else set[str]()
    enqueued = 0
    for chunk in store.ledger.pending(run.id, chunk=BATCH):
        if wanted := [item for item in chunk if str(item.id) not in there]:
            enqueue(store, publisher, run, wanted, on_full=on_full, mark=True)
            enqueued += len(wanted)
    return enqueued
