"""Minutes: the thread of a worker that says once a minute how the worker does, and when it has nothing to do."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.depth import Inspector
from persqa.broker.keys import queues_for
from persqa.errors import BrokerUnavailable
from worker.process import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.results import Status

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_ASK_SECONDS = 2.0
MINUTE: Final = 60.0
#: A worker that has had nothing to do for so long is idle; it is not between two items.
IDLE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What a worker is about.

    Attributes:
        in_flight: items that it has begun.
        trouble: what it waits out, a sentence each.
    """

    in_flight: int
    trouble: Sequence[str] = ()


class Minutes:
    """Says a line a minute while the worker works or waits something out, and one when it becomes idle."""

    def __init__(self, doing: Callable[[], Doing], *, queued: Callable[[], int | None]) -> None:
        """Prepare.

        Args:
            doing: what the worker is about; asked every second.
            queued: how many items wait in its queues, None where nobody can tell; asked once a minute.
        """
        self._doing = doing
        self._queued = queued
        #: What had ended at the last line of any kind, and when the worker began with what that line does not tell.
        self._told = metrics.ended()
        self._since: float | None = None
        #: The same for the last time that it became idle; when that was, and when it last had something to do.
        self._idle_told, self._idle_since = self._told, 0.0
        self._idle_at = -math.inf
        self._busy_at = 0.0
        #: The last look: when it was, and what had ended by then.
        self._looked_at: float | None = None
        self._seen: dict[Status, int] = self._told
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persqa-minutes", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    def look(self, now: float) -> None:
        """Say what is due; `now` is the caller's clock, in seconds."""
        doing, ended = self._doing(), metrics.ended()
        if doing.in_flight or doing.trouble or ended != self._seen:
            self._busy_at = now
            if self._since is None:
                self._since = self._idle_since = self._looked_at or now
        self._looked_at, self._seen = now, ended
        if self._since is None:
            return
        if now - self._busy_at < IDLE_SECONDS:
            if now - self._since >= MINUTE:
                _say(_between(self._told, ended), doing, seconds=now - self._since, queued=self._queued())
                self._told, self._since = ended, now
        elif now - self._idle_at >= MINUTE:
            # Where items come one by one, this is said once a minute, too.
            self._become_idle(ended, now)

    def _become_idle(self, ended: dict[Status, int], now: float) -> None:
        if number := sum(_between(self._idle_told, ended).values()):
            seconds = self._busy_at - self._idle_since
            text, more = "idle after %s in %.0f s", {"items": number, "seconds": round(seconds)}
            logger.info(text, _items(number), seconds, extra=more)
        self._told = self._idle_told = ended
        self._since, self._idle_at = None, now

    def _run(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            self.look(time.monotonic())


def count_queued(url: str, model: str) -> int | None:
    """How many messages wait in the queues of workers with this model; None if Redis does not answer."""
    once = Retry(NoBackoff(), 0)
    with suppress(BrokerUnavailable), closing(Inspector(url, timeout_seconds=_ASK_SECONDS, retry=once)) as inspector:
        return sum(queue.waiting for queue in inspector.backlog(queues_for(None, model)).queues)
    return None


def _between(before: dict[Status, int], after: dict[Status, int]) -> dict[Status, int]:
    return {status: number - before[status] for status, number in after.items()}


def _say(ended: dict[Status, int], doing: Doing, *, seconds: float, queued: int | None) -> None:
    number = sum(ended.values())
    rate = number / seconds
    kinds = ", ".join(f"{count} {status}" for status, count in ended.items() if count)
    facts = [
        f"{_items(number)} ended in the last {seconds:.0f} s" + (f", {rate:.1f} a second ({kinds})" if number else ""),
        f"{doing.in_flight} in flight",
        *([] if queued is None else [f"{queued} waiting in the queue"]),
        *doing.trouble,
    ]
    more: dict[str, object] = {
        "items": number,
        **{f"items_{status}": count for status, count in ended.items()},
        "items_per_second": round(rate, 2),
        "in_flight": doing.in_flight,
        "queued": queued,
        "trouble": list(doing.trouble),
    }
    logger.log(logging.WARNING if doing.trouble else logging.INFO, "%s", "; ".join(facts), extra=more)


def _items(number: int) -> str:
    return f"{number} item{'' if number == 1 else 's'}"
