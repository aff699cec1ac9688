"""Every Redis key PersQA uses. Redis or Valkey may be shared with others: all of ours start with `persqa`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from persqa.runs import Priority

if TYPE_CHECKING:
    from persqa.runs import Run

#: A list: messages for a worker with any model. The right end is taken first.
QUEUE = "persqa"
#: A hash: the messages that workers hold, by delivery tag; before each a line with the worker and its lease in
#: seconds, and one with the queue.
HELD = "persqa:held"
#: A sorted set: their delivery tags, by the end of the lease on the server's clock.
LEASES = "persqa:leases"
#: A hash: how often each message was taken, by delivery tag.
COUNTS = "persqa:counts"
#: A hash: the holders whose lease on a message ran out, by delivery tag; a line each with worker and time.
HISTORIES = "persqa:histories"
#: A string: the broker's identity.
BROKER = "persqa:broker"
#: A prefix of keys that expire: somebody has compared a ledger with its queues.
RECONCILED = "persqa:reconciled"
#: A prefix of keys that expire: somebody is enqueueing the items of a run.
PUBLISHING = "persqa:publishing"
#: A sorted set: the names of workers. What each last told of itself is in a key of its own, which expires.
WORKERS = "persqa:workers"
WORKER = "persqa:worker"
#: A prefix of keys that stay: gone only where the server has lost everything.
MEMORY = "persqa:memory"
#: A prefix of channels: something was pushed into the queue of this name, or into one of its runs' own.
PUSHED = "persqa:pushed"

_OF_A_RUN = re.compile(r"(.+):run:[0-9a-f]+:[0-9]+", re.DOTALL)


def queue_for(model: str | None, priority: Priority = Priority.NORMAL) -> str:
    """The queue of one model and priority, so that no other model answers its items."""
    queue = QUEUE if priority is Priority.NORMAL else f"{QUEUE}:{priority}"
    return queue if model is None else f"{queue}:model:{model}"


def queues_for(*models: str | None) -> tuple[str, ...]:
    """All queues that messages of these models may wait in; for each model by priority.

    A run has one priority, but may have messages in every queue: a worker returns a message to where it came from.
    """
    return tuple(queue_for(model, priority) for model in dict.fromkeys(models) for priority in Priority)


def aside(queue: str, ledger: str) -> str:
    """The queue for messages of one ledger that a worker of another ledger has found and set aside."""
    return f"{queue}:ledger:{ledger}"


def queue_of(run: Run, ledger: str, priority: Priority | None = None) -> str:
    """The queue of a run by its priority, or by another one.

    A data set waits in the queue of its model. A run that grows has a queue of its own beside that, and takes turns.
    """
    queue = queue_for(run.options.model, run.priority if priority is None else priority)
    return f"{queue}:run:{ledger}:{run.id}" if run.grows else queue


def base_of(queue: str) -> str:
    """The queue of the model beside which a run has this queue of its own; any other queue is its own base."""
    found = _OF_A_RUN.fullmatch(queue)
    return queue if found is None else found[1]


def turns_of(queue: str) -> str:
    """The sorted set that says whose turn it is: the runs' own queues beside this one that have messages, and this."""
    return f"{base_of(queue)}:runs"


def places_of(run: Run, ledger: str) -> tuple[str, ...]:
    """All queues in which messages of one run may wait."""
    own = tuple(queue_of(run, ledger, priority) for priority in Priority) if run.grows else ()
    return (*own, *places_for(ledger, run.options.model))


def places_for(ledger: str, *models: str | None) -> tuple[str, ...]:
    """All queues in which messages of one ledger may wait for these models, but for those of runs that grow."""
    queues = queues_for(*models)
    return (*queues, *(aside(queue, ledger) for queue in queues))


def priority_of(queue: str) -> Priority:
    """The priority of a queue; normal for a queue that is not PersQA's."""
    for priority in (Priority.HIGH, Priority.LOW):
        own = queue_for(None, priority)
        if queue == own or queue.startswith(f"{own}:"):
            return priority
    return Priority.NORMAL


#: For every connection of kombu. PersQA's messages do not use kombu's own bookkeeping of held messages. The keys
#: separate it from that of other Celery programs on the same server, which kombu would otherwise tidy up.
TRANSPORT_OPTIONS: dict[str, object] = {
    "unacked_key": "persqa:unacked",
    "unacked_index_key": "persqa:unacked:index",
    "unacked_mutex_key": "persqa:unacked:mutex",
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
