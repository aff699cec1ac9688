"""Leases: messages in workers' hands, kept in Redis, each for as long as its worker gives a sign of life.

Every step is one Lua script, so it happens as a whole or not at all, and every clock is that of the
Redis server.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.connection import connect, script, translated
from persqa.broker.keys import COUNTS, HELD, HISTORIES, LEASES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


Element = TypeVar("Element")

#: Tags in one call: Lua unpacks some thousands at most, and the server answers nobody else meanwhile.
_AT_ONCE = 1000
#: Of what is known of a message's former holders, in characters.
_HISTORY = 1000

#: From this delivery on a message is under suspicion: whoever had it before did not live to say how it ended.
SUSPECT_DELIVERIES = 3


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message under a lease.

    Attributes:
        tag: its delivery tag; a message that is published again gets another one.
        queue: where it was taken from.
        text: the message as it was in the queue.
        count: which delivery this is, of those that count. One that was put back in order does not; and a message
            under suspicion counts only if it was tried, so waiting for its turn blames nobody.
        history: of a message under suspicion, who let its lease run out, and when that was noticed.
    """

    tag: str
    queue: str
    text: str
    count: int
    history: tuple[str, ...] = ()


class Leases:
    """What a worker tells Redis of the messages in its hands; for one thread.

    Every method raises `BrokerUnavailable` when Redis does not answer, and may then be called again.
    """

    def __init__(self, url: str, *, worker: str, seconds: float, timeout_seconds: float = 5.0) -> None:
        """Prepare, without connecting.

        Args:
            url: the broker.
            worker: who holds what is claimed here; no two that live have the same name.
            seconds: how long a lease lasts that is not renewed.
            timeout_seconds: how long Redis may take for an answer.
        """
        self._url = url
        self._worker = worker
        self._seconds = seconds
        self.timeout_seconds = timeout_seconds
        # Not repeated underneath: a claim whose answer was lost has taken messages; they come back by themselves.
        self._redis = connect(url, timeout_seconds=timeout_seconds, retry=Retry(NoBackoff(), 0))
        self._claim, self._renew, self._count, self._settle, self._put_back, self._expire = (
            script(self._redis, name) for name in ("claim", "renew", "count", "settle", "put_back", "expire")
        )

    def claim(self, queues: Sequence[str], limit: int) -> list[Claimed]:
        """Take up to `limit` messages, of the first queue first, each under a lease from now on."""
        keys = [HELD, LEASES, COUNTS, HISTORIES, *queues]
        arguments = [self._worker, limit, self._seconds, SUSPECT_DELIVERIES]
        with translated(self._url):
            flat = cast("list[bytes | int]", self._claim(keys, arguments))
        rows = zip(*(flat[column::5] for column in range(5)), strict=True)
        return [
            Claimed(_text(tag), _text(queue), _text(text), int(count), _holders(_text(history)))
            for tag, queue, text, count, history in rows
        ]

    def renew(self, tags: Sequence[str]) -> int:
        """Begin the leases anew; returns how many there were. One that has run out is not brought back."""
        with translated(self._url):
            return sum(cast("int", self._renew([LEASES], [self._seconds, *some])) for some in _chunks(tags))

    def count(self, tag: str, deliveries: int) -> None:
        """Note which delivery this is of a message under suspicion: it is tried now."""
        with translated(self._url):
            self._count([COUNTS], [tag, deliveries])

    def settle(self, tags: Sequence[str]) -> None:
        """Take messages out for good; nothing happens to tags that are not there."""
        with translated(self._url):
            for some in _chunks(tags):
                self._settle([HELD, LEASES, COUNTS, HISTORIES], some)

    def put_back(self, tags: Sequence[str], *, count: bool) -> int:
        """Put messages back to where they are taken first; returns how many of them this worker held.

        Args:
            tags: theirs.
            count: whether this delivery counts as one that failed, as it was counted when they were claimed.
        """
        with translated(self._url):
            keys, start = [HELD, LEASES, COUNTS], [self._worker, "0" if count else "1"]
            return sum(cast("int", self._put_back(keys, [*start, *some])) for some in _chunks(tags))

    def expire(self) -> list[str]:
        """Put back what stands under a lease that has run out, whoever held it; returns the tags."""
        with translated(self._url):
            tags = self._expire([HELD, LEASES, COUNTS, HISTORIES], [_AT_ONCE, _HISTORY])
            return [_text(tag) for tag in cast("list[bytes]", tags)]

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def _chunks(elements: Sequence[Element]) -> Iterator[Sequence[Element]]:
    for start in range(0, len(elements), _AT_ONCE):
        yield elements[start : start + _AT_ONCE]


def _holders(history: str) -> tuple[str, ...]:
    lines = (line.rpartition(" ") for line in history.splitlines())
    return tuple(f"{worker} until {datetime.fromtimestamp(int(when), UTC):%F %T} UTC" for worker, _, when in lines)


def _text(value: bytes | int) -> str:
    """What is not UTF-8 is shown as such and not lost."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
