"""Looking into the queue: how much waits, how much is in workers' hands, and which items those are."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, cast

from persqa.broker.connection import connect, translated
from persqa.broker.keys import HELD
from persqa.messages import ENQUEUED_AT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis.retry import Retry

_CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Messages in Redis.

    Attributes:
        waiting: in the queue.
        held: in workers' hands, of all queues.
    """

    waiting: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBacklog:
    """What waits in one queue.

    Attributes:
        waiting: how many messages.
        oldest_seconds: how long ago the one to be taken next was enqueued; None where none waits, or it does not say.
    """

    queue: str
    waiting: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits in some queues, and how many messages are in workers' hands, of all queues."""

    queues: tuple[QueueBacklog, ...]
    held: int


class Inspector:
    """Reads the queue without taking anything from it."""

    def __init__(self, url: str, *, timeout_seconds: float = 15, retry: Retry | None = None) -> None:
        """Prepare, without connecting; the last two as in `connect`."""
        self._url = url
        self._redis = connect(url, timeout_seconds=timeout_seconds, retry=retry)

    def depth(self, queue: str) -> Depth:
        """Count the messages.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with translated(self._url):
            return Depth(waiting=self._redis.llen(queue), held=self._redis.hlen(HELD))

    def backlog(self, queues: Sequence[str]) -> Backlog:
        """Look at several queues in one round trip.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        looks = self._redis.pipeline(transaction=False)  # pyright: ignore[reportUnknownMemberType] - not typed
        for queue in queues:
            looks.llen(queue)
            looks.lindex(queue, -1)
        looks.hlen(HELD)
        with translated(self._url):
            *found, held = cast("list[int | bytes | None]", looks.execute())
        each = zip(queues, found[::2], found[1::2], strict=True)
        return Backlog(
            queues=tuple(
                QueueBacklog(queue=queue, waiting=cast("int", waiting), oldest_seconds=_age(cast("bytes | None", last)))
                for queue, waiting, last in each
            ),
            held=cast("int", held),
        )

    def task_ids(self, *queues: str) -> set[str]:
        """The Celery ids of all tasks that wait in these queues or are in a worker's hand.

        What moves meanwhile may be missed, so this spares duplicates but promises nothing.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with translated(self._url):
            waiting = {task_id for queue in queues for task_id in _ids(self._waiting(queue))}
            return waiting | set(_ids(self._held()))

    def _waiting(self, queue: str) -> Iterator[bytes]:
        # From the left, where messages are put in: they only push what is still to be seen further to the right.
        # What workers take from the right meanwhile is in their hands, and seen there.
        start = 0
        while chunk := cast("list[bytes]", self._redis.lrange(queue, start, start + _CHUNK - 1)):
            yield from chunk
            start += _CHUNK

    def _held(self) -> Iterator[bytes]:
        held = cast("Iterator[tuple[bytes, bytes]]", self._redis.hscan_iter(HELD, count=_CHUNK))  # pyright: ignore
        for _tag, entry in held:
            yield entry.split(b"\n", 2)[2]

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def _age(message: bytes | None) -> float | None:
    if message is None:
        return None
    # Anybody can push anything.
    try:
        enqueued_at = float(json.loads(message)["headers"][ENQUEUED_AT])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    # Clocks differ a little from machine to machine.
    return max(0.0, time.time() - enqueued_at) if isfinite(enqueued_at) else None


def _ids(messages: Iterable[bytes]) -> Iterator[str]:
    for message in messages:
        # Anybody can push anything; what carries no item is the worker's to bury.
        with suppress(ValueError, RecursionError):
            match json.loads(message):
                case {"headers": {"id": str(task_id)}}:
                    yield task_id
                case _:
                    continue
