"""Controls: what people do to a run that is under way: pause, cancel, resume, and let it go before others.

The state and the priority of a run are in SQL, and SQL is told first. Whoever touches its messages asks there:

- who publishes asks before every batch (`queue_now`), and stops, or goes on in another queue;
- a worker asks before it begins an item, in the same query that tells it what has ended, and drops the message of a run
  that is not active: the item stays pending in the ledger;
- who looks for lost items leaves out runs that are not active.

So the queue may hold what it likes. Withdrawing its messages spares workers the trouble, and makes room for others.

**Nothing is lost.** An item leaves the ledger's pending ones only by its result. Pausing sets the run's mark back
(`Runs.set_state`): from then on nothing of it was published, as far as anybody needs to know, so nobody misses
it. Resuming publishes all that is pending, and raises the mark with it, as
the first submit does, and is safe to repeat as that is. Whoever resumes and knows no broker publishes nothing: a
reconciler that finds a resumed run with its mark still set back takes it up (`Runs.adopt`). One gap is left: a worker
has found the run paused, the run is resumed and its message is still seen in that worker's hand, and only then is it
dropped. The item is behind the mark by then and in no queue, which is what the reconciler looks for.

**Nothing is doubled.** An item has one result row whatever happens. A batch that was on its way to Redis when the run
was paused may come behind the withdrawal; workers drop it, or the resume finds it there and publishes the rest. A
message that is there twice costs the second worker a look at the ledger.

**Priority.** A message moves from one queue to another in one step, so it is in one of them at any moment. What a
worker had in hand returns to the queue it came from, and what was on its way into the old queue stays there: that much
is answered at the old priority. Everybody who looks for messages of a run looks in the queues of all priorities.
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
    """Where the run's messages go at this moment; asked before every batch, since both may change at any time.

    Raises:
        RunStopped: nowhere, the run is paused or cancelled.
        StoreUnavailable: the database does not answer.
    """
    found = store.runs.reread(run)
    refuse_stopped(found)
    return queue_for(found.options.model, found.priority)


def stop(store: Store, run: Run, state: RunState, broker_url: str | None) -> tuple[Run, int]:
    """Pause or cancel; what has been begun is finished. Safe to repeat, and to be repeated where it was interrupted.

    Args:
        store: the ledger.
        run: the run.
        state: paused or cancelled.
        broker_url: where its messages are; None where that is not known here: then workers drop them one by one.

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
        broker_url: where its messages are; None where that is not known here: then they stay where they are.

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
