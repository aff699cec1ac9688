"""Leases: which worker holds which message, kept in Redis for as long as the worker renews them.

Every step is one Lua script, so it happens as a whole or not at all. All times are those of the Redis server's clock.
Redis may lose any of its keys, and its clock may be set: leases are mended while workers renew and expire them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, TypeVar, cast

from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.connection import BrokerClient, script, translated
from persqa.broker.keys import COUNTS, HELD, HISTORIES, LEASES, aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


Element = TypeVar("Element")

#: Tags or messages in one call: Lua unpacks some thousands at most, and the server answers nobody else meanwhile.
MOST_AT_ONCE = 1000
_RESTORED_AT_ONCE = 100
#: Longest history of a message's former holders, in characters.
_HISTORY = 1000
#: What the server's clock may gain on a worker's before it counts as set forward, in leases and in seconds: less leaves
#: workers the time to renew, and slow answers look like so much.
_GAINED_LEASES, _GAINED_SECONDS = 0.5, 10.0

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
        # Others must know how long this worker's leases are: theirs may be shorter.
        self._holder = f"{worker} {seconds:g}"
        self._seconds = seconds
        self.timeout_seconds = timeout_seconds
        self._claim, self._renew, self._restore, self._count, self._settle, self._put_back, self._expire = (
            script(self._redis, name) for name in ("claim", "renew", "restore", "count", "settle", "put_back", "expire")
        )
        #: The messages under this worker's leases, as far as it knows.
        self._held: dict[str, Claimed] = {}
        #: This worker's clock when the leases were last renewed.
        self._renewed_at = monotonic()
        #: The clocks of the server and of this worker at the last sweep.
        self._clocks: tuple[float, float] | None = None

    def claim(self, queues: Sequence[str], limit: int, *, ledger: str = "") -> list[Claimed]:
        """Take up to `limit` messages under new leases, the first queue first; at most `MOST_AT_ONCE`.

        Each queue and those of the runs beside it take turns; with a ledger, of that ledger's runs.
        """
        keys = [HELD, LEASES, COUNTS, HISTORIES, *queues]
        arguments = [self._holder, min(limit, MOST_AT_ONCE), self._seconds, SUSPECT_DELIVERIES, ledger]
        with translated(self.url):
            flat = cast("list[bytes | int]", self._claim(keys, arguments))
        rows = zip(*(flat[column::5] for column in range(5)), strict=True)
        claimed = [
            Claimed(_text(tag), _text(queue), _text(text), int(count), _holders(_text(history)))
            for tag, queue, text, count, history in rows
        ]
        self._held |= {one.tag: one for one in claimed}
        return claimed

    def renew(self, tags: Sequence[str]) -> int:
        """Renew the leases of all that this worker holds; returns how many there are.

        A lease that has run out is not brought back. A message that the server has forgotten is held again, so that
        no other worker is asked for the same.
        """
        started = monotonic()
        with translated(self.url):
            unknown = [tag for some in _chunks(tags) for tag in self._renew_some(some)]
            if started - self._renewed_at >= self._seconds:
                # These have run out, and others may have had the messages since.
                self._forget(unknown)
            forgotten = [self._held[tag] for tag in unknown if tag in self._held]
            for start in range(0, len(forgotten), _RESTORED_AT_ONCE):
                self._hold_again(forgotten[start : start + _RESTORED_AT_ONCE])
        self._renewed_at = started
        return len(tags) - len(unknown) + len(forgotten)

    def _renew_some(self, tags: Sequence[str]) -> list[str]:
        """Renew some leases; returns the tags that the server does not hold."""
        return [_text(tag) for tag in cast("list[bytes]", self._renew([HELD, LEASES], [self._seconds, *tags]))]

    def _hold_again(self, messages: Sequence[Claimed]) -> None:
        parts = (part for message in messages for part in (message.tag, message.queue, message.text))
        self._restore([HELD, LEASES], [self._holder, self._seconds, *parts])

    def count(self, tag: str, deliveries: int) -> None:
        """Note the delivery number of a message under suspicion that is tried now."""
        with translated(self.url):
            self._count([COUNTS], [tag, deliveries])

    def settle(self, tags: Sequence[str]) -> None:
        """Remove messages for good; unknown tags are ignored."""
        with translated(self.url):
            for some in _chunks(tags):
                self._settle([HELD, LEASES, COUNTS, HISTORIES], some)
        self._forget(tags)

    def put_back(self, tags: Sequence[str], *, count: bool, ledger: str | None = None) -> int:
        """Put messages back to the front of their queues; returns how many of them this worker held.

        Args:
            tags: their delivery tags.
            count: whether this delivery counts as failed; it was counted when they were claimed.
            ledger: the other ledger that they belong to, for whose workers they are set aside.
        """
        with translated(self.url):
            to = "" if ledger is None else aside("", ledger)
            keys, start = [HELD, LEASES, COUNTS], [self._holder, "0" if count else "1", to]
            back = sum(cast("int", self._put_back(keys, [*start, *some])) for some in _chunks(tags))
        self._forget(tags)
        return back

    def expire(self) -> list[str]:
        """Put back all messages whose lease has run out, whoever held them; returns their tags.

        What is held without a lease gets one. Where the server's clock was set since the last call, no lease runs out
        for that, and none lasts longer.
        """
        started = monotonic()
        arguments = [MOST_AT_ONCE, _HISTORY, self._seconds, self._latest(started)]
        with translated(self.url):
            answer = self._expire([HELD, LEASES, COUNTS, HISTORIES], arguments)
        server, tags = cast("tuple[bytes, list[bytes]]", answer)
        self._clocks = float(server), started
        return [_text(tag) for tag in tags]

    def _latest(self, now: float) -> float | str:
        """The latest time that the server's clock can show unless it was set; empty at the first look at it."""
        if self._clocks is None:
            return ""
        server, own = self._clocks
        return server + now - own + min(_GAINED_LEASES * self._seconds, _GAINED_SECONDS)

    def _forget(self, tags: Iterable[str]) -> None:
        for tag in tags:
            self._held.pop(tag, None)


def _chunks(elements: Sequence[Element]) -> Iterator[Sequence[Element]]:
    for start in range(0, len(elements), MOST_AT_ONCE):
        yield elements[start : start + MOST_AT_ONCE]


def _holders(history: str) -> tuple[str, ...]:
    lines = (line.rpartition(" ") for line in history.splitlines())
    return tuple(f"{worker} until {datetime.fromtimestamp(int(when), UTC):%F %T} UTC" for worker, _, when in lines)


def _text(value: bytes | int) -> str:
    """The text; bytes that are not UTF-8 are shown as escapes."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
