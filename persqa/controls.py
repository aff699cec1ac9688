"""Controls: what people do to a run that is under way: pause, cancel, resume, and change its priority.

State and priority are in SQL, and SQL is told before any message moves. docs/reliability.md says what can happen at the
same time ("Pause, cancel, priority").
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from persqa.broker.keys import queue_for, queues_for
from persqa.broker.withdrawal import Withdrawal
from persqa.errors import RunStopped
from persqa.runs import Priority, Run, RunState

if TYPE_CHECKING:
    from persqa.store import Store


def refuse_stopped(run: Run) -> None:
    """Make sure that the run's items are to be begun.

    Raises:
        RunStopped: it is paused or cancelled; the message says how it goes on.
    """
    if run.state is not RunState.ACTIVE:
        raise RunStopped(f"the run {run.name!r} is {run.state}; to take it up again: persqa resume {run.name}")


def queue_now(store: Store, run: Run) -> str:
    """The queue that the run's messages go to now; asked before every batch, since state and priority may change.

    Raises:
        RunStopped: nowhere, the run is paused or cancelled.
        StoreUnavailable: the database does not answer.
    """
    found = store.runs.reread(run)
    refuse_stopped(found)
    return queue_for(found.options.model, found.priority)


def stop(store: Store, run: Run, state: RunState, broker_url: str | None) -> tuple[Run, int]:
    """Pause or cancel a run; workers finish what they have begun. Safe to repeat, also where it was interrupted.

    Args:
        store: the ledger.
        run: the run.
        state: paused or cancelled.
        broker_url: where its messages are; None if that is not known here, and then workers drop them one by one.

    Returns:
        The run as it is now, and how many messages were withdrawn.

    Raises:
        RunStopped: a cancelled run is to be paused.
        BrokerUnavailable: the run is stopped, and some of its messages are still in the queue.
    """
    stopped = store.runs.set_state(run, state)
    if broker_url is None:
        return stopped, 0
    with closing(Withdrawal(broker_url)) as withdrawal:
        return stopped, withdrawal.withdraw(run.id, queues_for(run.options.model))


def set_priority(store: Store, run: Run, priority: Priority, broker_url: str | None) -> tuple[Run, int]:
    """Let the run's items go before others, or after them. Safe to repeat.

    Args:
        store: the ledger.
        run: the run.
        priority: from now on.
        broker_url: where its messages are; None if that is not known here, and then they stay where they are.

    Returns:
        The run as it is now, and how many messages were moved.

    Raises:
        BrokerUnavailable: the priority is set, and some messages are still in the old queue.
    """
    changed = store.runs.set_priority(run, priority)
    if broker_url is None:
        return changed, 0
    queues, to = queues_for(run.options.model), queue_for(run.options.model, priority)
    with closing(Withdrawal(broker_url)) as withdrawal:
        return changed, withdrawal.move(run.id, queues, to=to)
