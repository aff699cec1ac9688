"""Leases: which worker holds which message, kept in Redis for as long as the worker renews them.

Every step is one Lua script, so it happens as a whole or not at all. All times are those of the Redis server's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.connection import BrokerClient, script, translated
from persqa.broker.keys import COUNTS, HELD, HISTORIES, LEASES, aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


Element = TypeVar("Element")

#: Tags in one call: Lua unpacks some thousands at most, and the server answers nobody else meanwhile.
_AT_ONCE = 1000
#: Longest history of a message's former holders, in characters.
_HISTORY = 1000

#: From this delivery on a message is under suspicion: the workers that held it before died.
SUSPECT_DELIVERIES = 3


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message under a lease.

    Attributes:
        tag: its delivery tag; a message that is published again gets another one.
        queue: where it was taken from.
        text: the message as it was in the queue.
        count: the number of this delivery. A delivery that was put back in order does not count; one of a message
            under suspicion counts only if the message was tried, so waiting for its turn blames nobody.
        history: for a message under suspicion, whose leases ran out, and when that was noticed.
    """

    tag: str
    queue: str
    text: str
    count: int
    history: tuple[str, ...] = ()


class Leases(BrokerClient):
    """What a worker tells Redis of the messages it holds; for one thread."""

    def __init__(self, url: str, *, worker: str, seconds: float, timeout_seconds: float = 5.0) -> None:
        """Prepare, without connecting.

        Args:
            url: the broker.
            worker: the holder's name; no two live workers share one.
            seconds: how long a lease lasts without renewal.
            timeout_seconds: longest wait for an answer.
        """
        # No retry underneath: a claim whose answer was lost has taken messages, and they return when it expires.
        super().__init__(url, timeout_seconds=timeout_seconds, retry=Retry(NoBackoff(), 0))
        self._worker = worker
        self._seconds = seconds
        self.timeout_seconds = timeout_seconds
        self._claim, self._renew, self._count, self._settle, self._put_back, self._expire = (
            script(self._redis, name) for name in ("claim", "renew", "count", "settle", "put_back", "expire")
        )

    def claim(self, queues: Sequence[str], limit: int) -> list[Claimed]:
        """Take up to `limit` messages under new leases, the first queue first."""
        keys = [HELD, LEASES, COUNTS, HISTORIES, *queues]
        arguments = [self._worker, limit, self._seconds, SUSPECT_DELIVERIES]
        with translated(self.url):
            flat = cast("list[bytes | int]", self._claim(keys, arguments))
        rows = zip(*(flat[column::5] for column in range(5)), strict=True)
        return [
            Claimed(_text(tag), _text(queue), _text(text), int(count), _holders(_text(history)))
            for tag, queue, text, count, history in rows
        ]

    def renew(self, tags: Sequence[str]) -> int:
        """Renew the leases; returns how many still existed. An expired one is not brought back."""
        with translated(self.url):
            return sum(cast("int", self._renew([LEASES], [self._seconds, *some])) for some in _chunks(tags))

    def count(self, tag: str, deliveries: int) -> None:
        """Note the delivery number of a message under suspicion that is tried now."""
        with translated(self.url):
            self._count([COUNTS], [tag, deliveries])

    def settle(self, tags: Sequence[str]) -> None:
        """Remove messages for good; unknown tags are ignored."""
        with translated(self.url):
            for some in _chunks(tags):
                self._settle([HELD, LEASES, COUNTS, HISTORIES], some)

    def put_back(self, tags: Sequence[str], *, count: bool, ledger: str | None = None) -> int:
        """Put messages back to the front of their queues; returns how many of them this worker held.

        Args:
            tags: their delivery tags.
            count: whether this delivery counts as failed; it was counted when they were claimed.
            ledger: the other ledger that they belong to, for whose workers they are set aside.
        """
        with translated(self.url):
            to = "" if ledger is None else aside("", ledger)
            keys, start = [HELD, LEASES, COUNTS], [self._worker, "0" if count else "1", to]
            return sum(cast("int", self._put_back(keys, [*start, *some])) for some in _chunks(tags))

    def expire(self) -> list[str]:
        """Put back all messages whose lease has run out, whoever held them; returns their tags."""
        with translated(self.url):
            tags = self._expire([HELD, LEASES, COUNTS, HISTORIES], [_AT_ONCE, _HISTORY])
            return [_text(tag) for tag in cast("list[bytes]", tags)]


def _chunks(elements: Sequence[Element]) -> Iterator[Sequence[Element]]:
    for start in range(0, len(elements), _AT_ONCE):
        yield elements[start : start + _AT_ONCE]


def _holders(history: str) -> tuple[str, ...]:
    lines = (line.rpartition(" ") for line in history.splitlines())
    return tuple(f"{worker} until {datetime.fromtimestamp(int(when), UTC):%F %T} UTC" for worker, _, when in lines)


def _text(value: bytes | int) -> str:
    """The text; bytes that are not UTF-8 are shown as escapes."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
