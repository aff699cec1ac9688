"""Every Redis key PersQA uses. Redis or Valkey may be shared with others: all of ours start with `persqa`."""

from __future__ import annotations

#: A list: messages waiting for any worker, whatever model it serves. The right end is taken first.
QUEUE = "persqa"
#: A hash: messages a worker holds, by delivery tag; kept by kombu.
UNACKED = "persqa:unacked"
#: A sorted set: the delivery tags of those, by the time they were taken; kept by kombu.
UNACKED_INDEX = "persqa:unacked:index"
#: A lock: one worker at a time puts back what others left; kept by kombu.
UNACKED_MUTEX = "persqa:unacked:mutex"


def queue_for(model: str | None) -> str:
    """The list that runs for one model wait in, so that no other model answers them."""
    return QUEUE if model is None else f"{QUEUE}:model:{model}"


#: How kombu is told of them; the worker, the producer and `celery inspect` must all use the same.
TRANSPORT_OPTIONS: dict[str, object] = {
    "unacked_key": UNACKED,
    "unacked_index_key": UNACKED_INDEX,
    "unacked_mutex_key": UNACKED_MUTEX,
    "visibility_timeout": 3600,
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
