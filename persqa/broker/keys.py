"""Every Redis key PersQA uses. Redis or Valkey may be shared with others: all of ours start with `persqa`."""

from __future__ import annotations

from persqa.runs import Priority

#: A list: messages waiting for any worker, whatever model it serves. The right end is taken first.
QUEUE = "persqa"
#: A hash: messages in workers' hands, by delivery tag; the two lines before each are the worker and the queue.
HELD = "persqa:held"
#: A sorted set: the delivery tags of those, by the moment on the server's clock when their lease ends.
LEASES = "persqa:leases"
#: A hash: how often each message was taken, by delivery tag.
COUNTS = "persqa:counts"
#: A hash: whose hands messages were in that came back by themselves, by delivery tag; worker and moment, a line each.
HISTORIES = "persqa:histories"
#: Keys that start so are there for a while after somebody has held the ledger, or a run of it, against the queue.
RECONCILED = "persqa:reconciled"


def queue_for(model: str | None, priority: Priority = Priority.NORMAL) -> str:
    """The list that runs of one model and priority wait in, so that no other model answers them."""
    queue = QUEUE if priority is Priority.NORMAL else f"{QUEUE}:{priority}"
    return queue if model is None else f"{queue}:model:{model}"


def queues_for(model: str | None) -> tuple[str, ...]:
    """All lists that messages of one model may wait in, first what is taken first.

    A run has one priority and may yet have messages in each: one that a worker gives back returns to where it came from.
    """
    return tuple(queue_for(model, priority) for priority in Priority)


def priority_of(queue: str) -> Priority:
    """How soon a list is taken from; one that is not ours is like any other."""
    for priority in (Priority.HIGH, Priority.LOW):
        own = queue_for(None, priority)
        if queue == own or queue.startswith(f"{own}:"):
            return priority
    return Priority.NORMAL


#: For every connection of kombu. Its own bookkeeping of messages in hand is not used for ours; the keys keep it away
#: from that of other Celery programs on the same server, which it would otherwise tidy up, too.
TRANSPORT_OPTIONS: dict[str, object] = {
    "unacked_key": "persqa:unacked",
    "unacked_index_key": "persqa:unacked:index",
    "unacked_mutex_key": "persqa:unacked:mutex",
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
