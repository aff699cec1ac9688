"""Looking into the queues: how many messages wait, how many workers hold, and which items those are."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, cast

from persqa.broker.connection import BrokerClient, translated
from persqa.broker.keys import HELD, turns_of
from persqa.messages import ENQUEUED_AT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Messages that wait in one queue, and those of all queues that workers hold."""

    waiting: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBacklog:
    """The messages that wait in one queue, and in those of the runs beside it.

    Attributes:
        waiting: how many.
        oldest_seconds: the greatest age of those that are the next of their queues; None where none waits, or no age
            is known.
    """

    queue: str
    waiting: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits in some queues, and how many messages of all queues workers hold."""

    queues: tuple[QueueBacklog, ...]
    held: int


class Inspector(BrokerClient):
    """Reads the queues without taking anything from them."""

    def depth(self, queue: str) -> Depth:
        """Count the messages."""
        with translated(self.url):
            return Depth(waiting=self._redis.llen(queue), held=self._redis.hlen(HELD))

    def backlog(self, queues: Sequence[str]) -> Backlog:
        """Look at several queues, each with those of the runs beside it, in two round trips."""
        with translated(self.url):
            beside = self._beside(queues)
            every = [one for queue in queues for one in (queue, *beside[queue])]
            looks = self._redis.pipeline(transaction=False)
            for queue in every:
                looks.llen(queue)
                looks.lindex(queue, -1)
            looks.hlen(HELD)
            *found, held = cast("list[int | bytes | None]", looks.execute())
        numbers = dict(zip(every, cast("list[int]", found[::2]), strict=True))
        ages = dict(zip(every, map(_age, cast("list[bytes | None]", found[1::2])), strict=True))
        return Backlog(
            queues=tuple(
                QueueBacklog(
                    queue=queue,
                    waiting=sum(numbers[one] for one in (queue, *beside[queue])),
                    oldest_seconds=max(
                        (age for one in (queue, *beside[queue]) if (age := ages[one]) is not None), default=None
                    ),
                )
                for queue in queues
            ),
            held=cast("int", held),
        )

    def task_ids(self, *queues: str) -> set[str]:
        """The Celery ids of all tasks that wait in these queues, or beside them, or that a worker holds.

        A message that moves meanwhile may be missed: this avoids duplicates but does not rule them out.
        """
        with translated(self.url):
            every = dict.fromkeys(one for queue, own in self._beside(queues).items() for one in (queue, *own))
            waiting = {task_id for queue in every for task_id in _ids(self._waiting(queue))}
            return waiting | set(_ids(self._held()))

    def _beside(self, queues: Sequence[str]) -> dict[str, list[str]]:
        """The queues of runs that have messages, by the queue that they stand beside."""
        looks = self._redis.pipeline(transaction=False)
        for queue in queues:
            looks.zrange(turns_of(queue), 0, -1)
        found = cast("list[list[bytes]]", looks.execute())
        return {
            queue: [one.decode() for one in own if one.decode() != queue]
            for queue, own in zip(queues, found, strict=True)
        }

    def _waiting(self, queue: str) -> Iterator[bytes]:
        # From the left, where messages are added: new ones only shift the unseen ones to the right.
        # Messages that workers take from the right meanwhile are seen among the held ones.
        start = 0
        while chunk := cast("list[bytes]", self._redis.lrange(queue, start, start + _CHUNK - 1)):
            yield from chunk
            start += _CHUNK

    def _held(self) -> Iterator[bytes]:
        held = cast("Iterator[tuple[bytes, bytes]]", self._redis.hscan_iter(HELD, count=_CHUNK))
        for _tag, entry in held:
            yield entry.split(b"\n", 2)[2]


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
        # Anybody can push anything; a message without an item becomes a dead letter at the worker.
        with suppress(ValueError, RecursionError):
            match json.loads(message):
                case {"headers": {"id": str(task_id)}}:
                    yield task_id
                case _:
                    continue
