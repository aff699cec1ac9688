"""Controls of a run under way: pause, cancel, resume, and priority.

State and priority are in SQL, and change there before any message moves. docs/reliability.md tells what can happen at
the same time ("Pause, cancel, priority").
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from persqa.broker.keys import places_of, queue_of
from persqa.errors import RunConflict, RunStopped
from persqa.items import MAX_ITEMS
from persqa.messages import item_of
from persqa.runs import Priority, Run, RunState
from persqa.words import counted, option, to_type

if TYPE_CHECKING:
    from persqa.broker.withdrawal import Withdrawal
    from persqa.progress import Progress
    from persqa.store import Store


def refuse_stopped(run: Run) -> None:
    """Raise RunStopped if the run is paused, cancelled or being deleted; the message says what to do."""
    if run.deleting:
        raise RunStopped(
            f"the run {run.name!r} is being deleted; to delete the rest of it: {to_type(f'persqa delete {run.name}')}"
        )
    if run.state is not RunState.ACTIVE:
        why = f": {run.stop}" if run.state is RunState.PAUSED and run.stop else ""
        raise RunStopped(
            f"the run {run.name!r} is {run.state}{why}; to take it up again: {to_type(f'persqa resume {run.name}')}"
        )


def refuse_deleting(store: Store, run: Run) -> None:
    """Raise RunStopped if the run is being deleted by now, which says more than that it is cancelled."""
    if (found := store.runs.reread(run)).deleting:
        refuse_stopped(found)


def refuse_vain(progress: Progress, name: str) -> None:
    """Raise RunStopped if it is vain to wait for the run: it was cancelled, or has paused itself by a stop rule."""
    if progress.state is RunState.CANCELLED or progress.stop is not None:
        to_go = f"{progress.pending} of {counted(progress.submitted, 'item')} to go"
        message = f"the run {name!r} was cancelled with {to_go}"
        if progress.stop is not None:
            message = f"the run {name!r} is paused with {to_go}: {progress.stop}"
        raise RunStopped(f"{message}; to take it up again: {to_type(f'persqa resume {name}')}")


def queue_now(store: Store, run: Run) -> str:
    """The run's queue by its current priority; asked before every batch, since state and priority may change.

    Raises:
        RunStopped: the run is paused or cancelled.
        StoreUnavailable: the database does not answer.
    """
    found = store.runs.reread(run)
    refuse_stopped(found)
    return queue_of(found, store.ledger.id)


def stop(store: Store, run: Run, state: RunState, broker_url: str | None) -> tuple[Run, int]:
    """Pause or cancel a run; workers finish the items in work. Safe to repeat, also after an interruption.

    Without a broker's URL no message is withdrawn, and workers drop them one by one.

    Returns:
        The run as it is now, and how many messages were withdrawn.

    Raises:
        RunStopped: a cancelled run cannot be paused, and one that is done cannot be stopped.
        BrokerUnavailable: the run is stopped, but some of its messages are still in the queue.
    """
    if store.queries.progress(run.id).state is RunState.DONE:
        raise RunStopped(f"the run {run.name!r} is done: nothing of it is pending, so it cannot be {state}")
    stopped = store.runs.set_state(run, state)
    return stopped, 0 if broker_url is None else withdraw(store, run, broker_url)


def withdraw(store: Store, run: Run, broker_url: str) -> int:
    """Take the messages of a run, which nobody enqueues any more, out of its queues; returns how many.

    Raises:
        BrokerUnavailable: some of them are still there.
    """
    with closing(_withdrawal(store, broker_url)) as withdrawal:
        return withdrawal.withdraw(run.id, places_of(run, store.ledger.id))


def remove_unanswered(store: Store, run: Run, broker_url: str | None) -> bool:
    """Remove a run of which nothing is answered yet, so that its name is free; returns whether it is gone.

    It is paused first, so that workers begin nothing more of it. Where it was answered or begun all the same, it goes
    on. Without a broker's URL, workers drop its messages one by one.

    Raises:
        RunConflict: workers have items of it in hand.
        BrokerUnavailable: nothing was removed; some of its messages may be out of the queue.
    """
    if store.deletion.is_answered(run.id):
        return False
    if broker_url is None or run.broker is None:
        begun = store.deletion.begin_unanswered(run)
    else:
        begun = _begun_beside_workers(store, run, broker_url)
    if begun:
        for _ in store.deletion.steps(run.id):
            pass
    return begun


def _begun_beside_workers(store: Store, run: Run, broker_url: str) -> bool:
    """Begin to delete a run of which workers have nothing in hand; as long as it is not begun, it goes on as it was."""
    _refuse_begun(store, run, broker_url)
    active, begun = run.state is RunState.ACTIVE, False
    if active:
        store.runs.set_state(run, RunState.PAUSED)
    try:
        withdraw(store, run, broker_url)
        _refuse_begun(store, run, broker_url)
        begun = store.deletion.begin_unanswered(run)
    finally:
        if active and not begun:
            store.runs.set_state(run, RunState.ACTIVE)
    return begun


def _refuse_begun(store: Store, run: Run, broker_url: str) -> None:
    """Raise RunConflict if workers have items of the run in hand."""
    # Imported here, like what withdraws: whoever only looks needs no broker's library.
    from persqa.broker.depth import Inspector

    ledger = store.ledger.id
    with closing(Inspector(broker_url)) as inspector:
        held = (item_of(task, ledger) for task in inspector.task_ids())
        if any(item is not None and item // MAX_ITEMS == run.id for item in held):
            raise RunConflict(
                f"the run {run.name!r} exists with other data or options, and workers have begun it: choose another "
                f"name with {option('run')}, or give it up with `{to_type(f'persqa cancel {run.name}')}` and submit "
                "again in a moment"
            )


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
    ledger = store.ledger.id
    queues, to = places_of(run, ledger), queue_of(run, ledger, priority)
    with closing(_withdrawal(store, broker_url)) as withdrawal:
        return changed, withdrawal.move(run.id, queues, to=to)


def _withdrawal(store: Store, broker_url: str) -> Withdrawal:
    # Imported here: without a broker nobody needs the library of Redis, which takes long to load.
    from persqa.broker.withdrawal import Withdrawal

    return Withdrawal(broker_url, ledger=store.ledger.id)
