"""Controls of a run under way: pause, cancel, resume, and priority.

State and priority are in SQL, and change there before any message moves. docs/reliability.md tells what can happen at
the same time ("Pause, cancel, priority").
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from persqa.broker.keys import places_for, queue_for
from persqa.errors import RunStopped
from persqa.runs import Priority, Run, RunState

if TYPE_CHECKING:
    from persqa.broker.withdrawal import Withdrawal
    from persqa.store import Store


def refuse_stopped(run: Run) -> None:
    """Raise RunStopped if the run is paused or cancelled; the message says how to resume it."""
    if run.state is not RunState.ACTIVE:
        raise RunStopped(f"the run {run.name!r} is {run.state}; to take it up again: persqa resume {run.name}")


def queue_now(store: Store, run: Run) -> str:
    """The run's queue by its current priority; asked before every batch, since state and priority may change.

    Raises:
        RunStopped: the run is paused or cancelled.
        StoreUnavailable: the database does not answer.
    """
    found = store.runs.reread(run)
    refuse_stopped(found)
    return queue_for(found.options.model, found.priority)


def stop(store: Store, run: Run, state: RunState, broker_url: str | None) -> tuple[Run, int]:
    """Pause or cancel a run; workers finish the items in work. Safe to repeat, also after an interruption.

    Without a broker's URL no message is withdrawn, and workers drop them one by one.

    Returns:
        The run as it is now, and how many messages were withdrawn.

    Raises:
        RunStopped: a cancelled run cannot be paused.
        BrokerUnavailable: the run is stopped, but some of its messages are still in the queue.
    """
    stopped = store.runs.set_state(run, state)
    if broker_url is None:
        return stopped, 0
    with closing(_withdrawal(store, broker_url)) as withdrawal:
        return stopped, withdrawal.withdraw(run.id, places_for(store.ledger.id, run.options.model))


def set_priority(store: Store, run: Run, priority: Priority, broker_url: str | None) -> tuple[Run, int]:
    """Set the priority of a run and move its messages. Safe to repeat.

    Without a broker's URL, its messages stay in their queue.

    Returns:
        The run as it is now, and how many messages were moved.

    Raises:
        BrokerUnavailable: the priority is set, but some messages are still in the old queue.
    """
    changed = store.runs.set_priority(run, priority)
    if broker_url is None:
        return changed, 0
    queues, to = places_for(store.ledger.id, run.options.model), queue_for(run.options.model, priority)
    with closing(_withdrawal(store, broker_url)) as withdrawal:
        return changed, withdrawal.move(run.id, queues, to=to)


def _withdrawal(store: Store, broker_url: str) -> Withdrawal:
    # Imported here: without a broker nobody needs the library of Redis, which takes long to load.
    from persqa.broker.withdrawal import Withdrawal

    return Withdrawal(broker_url, ledger=store.ledger.id)
