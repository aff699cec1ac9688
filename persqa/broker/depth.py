"""Looking into the queue: how much waits, how much is in workers' hands, and which items those are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from persqa.broker.connection import connect, translated
from persqa.broker.keys import UNACKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


class Inspector:
    """Reads the queue without taking anything from it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis = connect(url)

    def depth(self, queue: str) -> Depth:
        """Count the messages.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with translated(self._url):
            return Depth(waiting=self._redis.llen(queue), held=self._redis.hlen(UNACKED))

    def task_ids(self, queue: str) -> set[str]:
        """The Celery ids of all tasks that wait in the queue or are in a worker's hand.

        What moves meanwhile may be missed, so this spares duplicates but promises nothing.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with translated(self._url):
            return set(_ids(self._waiting(queue))) | set(_ids(self._held()))

    def _waiting(self, queue: str) -> Iterator[object]:
        # From the right, the end that workers take from: what they take meanwhile shifts nothing we still have to see.
        end = -1
        while chunk := cast("list[bytes]", self._redis.lrange(queue, end - _CHUNK + 1, end)):
            yield from (json.loads(entry) for entry in chunk)
            end -= _CHUNK

    def _held(self) -> Iterator[object]:
        held = cast("Iterator[tuple[bytes, bytes]]", self._redis.hscan_iter(UNACKED, count=_CHUNK))  # pyright: ignore
        for _tag, entry in held:
            # kombu keeps [message, exchange, routing key].
            yield json.loads(entry)[0]

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def _ids(messages: Iterable[object]) -> Iterator[str]:
    for message in messages:
        match message:
            case {"headers": {"id": str(task_id)}}:
                yield task_id
            case _:
                continue
