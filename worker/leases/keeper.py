"""LeaseKeeper: one thread and one connection for all that Redis must know of the messages in this worker's hands.

It claims what there is room for, renews the leases of what is in hand, settles what is committed, and puts back what
others left behind. It knows nothing of Celery, so nothing that happens to Celery's connections touches a message.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.broker.leases import SUSPECT_DELIVERIES
from persqa.errors import BrokerUnavailable
from worker import metrics
from worker.leases.claim_order import claim_order
from worker.leases.share import NOTICE_SECONDS, Share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.broker.leases import Claimed, Leases

logger = logging.getLogger(__name__)

#: Leases are renewed this often in the time they last.
_RENEWALS = 4
_EXPIRE_SECONDS = 2.0
#: Turns of the thread: the pause after a full one, and the longest while there is nothing to claim.
_BUSY_SECONDS = 0.005
_IDLE_SECONDS = NOTICE_SECONDS
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0
_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who takes what is claimed.

    Attributes:
        queues: the queues to claim from.
        room: how many messages it wants in hand, at most.
        deliver: gets them, in the keeper's thread.
    """

    queues: Sequence[str]
    room: Callable[[], int]
    deliver: Callable[[list[Claimed]], None]


class LeaseKeeper:
    """Owns the leases of one worker process."""

    def __init__(self, leases: Leases, *, lease_seconds: float) -> None:
        """Prepare; the thread starts with the first consumer.

        Args:
            leases: used by this keeper's thread only.
            lease_seconds: how long a lease lasts that is not renewed.
        """
        self._leases = leases
        self._renew_every = lease_seconds / _RENEWALS
        self._mercy_seconds = leases.timeout_seconds + _LONGEST_PAUSE_SECONDS + self._renew_every
        # A signal handler of Celery's may come here while its thread is already here.
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._consumer: Consumer | None = None
        #: Tags in hand; the value says whether the pool has begun with it.
        self._held: dict[str, bool] = {}
        self._settled: list[str] = []
        self._returned: list[str] = []
        #: Of those, whose delivery is to count as one that failed should it be given back ...
        self._suspects: set[str] = set()
        #: ... and which delivery of a message it is that is not counted yet.
        self._uncounted: dict[str, int] = {}
        self._to_count: list[tuple[str, Future[None]]] = []
        self._renewed_at = self._expired_at = time.monotonic()
        self._claims = 0
        self._share = Share()
        self._failing_since: float | None = None

    @property
    def held(self) -> int:
        """How many messages are in hand."""
        return len(self._held)

    def attach(self, consumer: Consumer) -> None:
        """Claim for this consumer from now on, and no longer for another."""
        with self._lock:
            self._consumer = consumer
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="persqa-leases", daemon=True)
                self._thread.start()
        self._wake.set()

    def detach(self) -> None:
        """Claim nothing more, and return what was delivered and not begun: whoever had it has forgotten it."""
        with self._lock:
            self._consumer = None
            for tag in [tag for tag, begun in self._held.items() if not begun]:
                self._give_back(tag)
        self._wake.set()

    def awaits(self, tag: str) -> bool:
        """Whether this message is in hand and nobody has begun with it."""
        return self._held.get(tag) is False

    def begin(self, tag: str) -> None:
        """The pool has this message; it stays in hand whatever happens to Celery's connection."""
        with self._lock:
            if tag in self._held:
                self._held[tag] = True

    def count(self, tag: str) -> Future[None]:
        """This message, which is under suspicion, is tried now; done when Redis has counted that."""
        counted: Future[None] = Future()
        with self._lock:
            self._to_count.append((tag, counted))
        self._wake.set()
        return counted

    def suspect(self, tag: str) -> None:
        """Should this message be given back, the delivery counts as one that failed."""
        self._suspects.add(tag)

    def settle(self, tag: str) -> None:
        """This message is done with, for good."""
        with self._lock:
            if self._held.pop(tag, None) is not None:
                self._settled.append(tag)
        self._wake.set()

    def give_back(self, tag: str) -> None:
        """Somebody else is to have this message, at once; the delivery does not count as one that failed."""
        with self._lock:
            self._give_back(tag)
        self._wake.set()

    def close(self) -> None:
        """Tell Redis the last of it, give back what is still in hand, and end the thread; safe to call twice."""
        with self._lock:
            self._consumer = None
            for tag in list(self._held):
                self._give_back(tag)
        self._ending.set()
        self._wake.set()
        if (thread := self._thread) is not None:
            thread.join()

    def _give_back(self, tag: str) -> None:
        if self._held.pop(tag, None) is not None:
            self._returned.append(tag)

    def _run(self) -> None:
        try:
            self._keep()
        except Exception:
            # Without this thread nothing would ever be settled; what is in hand is others' when its leases run out.
            logger.critical("a defect of PersQA; this worker ends at once, its items go elsewhere", exc_info=True)
            os._exit(1)

    def _keep(self) -> None:
        idle = _BUSY_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while not self._ending.is_set():
            try:
                claimed = self._turn()
            except BrokerUnavailable as error:
                self._say_failing(error)
                self._ending.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            self._say_working()
            pause = _FIRST_PAUSE_SECONDS
            # New messages are looked for more and more slowly while there are none.
            idle = _BUSY_SECONDS if claimed else min(1.5 * idle, _IDLE_SECONDS)
            self._wake.wait(idle)
            self._wake.clear()
            # What woke us seldom comes alone.
            self._ending.wait(_BUSY_SECONDS)
        self._finish()

    def _turn(self) -> int:
        """Do all that is to be done; returns how many messages were claimed."""
        now = time.monotonic()
        if now - self._renewed_at >= self._renew_every:
            with self._lock:
                tags = list(self._held)
            metrics.RENEWALS.inc(self._leases.renew(tags))
            self._renewed_at = now
        self._tell()
        if now - self._expired_at >= _EXPIRE_SECONDS:
            expired = self._leases.expire()
            self._expired_at = now
            if expired:
                metrics.EXPIRED.inc(len(expired))
                logger.warning("%d messages were left behind by their workers and go back to the queue", len(expired))
        return self._claim()

    def _tell(self) -> None:
        """Tell Redis what is settled and what is given back; what fails is told again."""
        with self._lock:
            settled, self._settled = self._settled, []
            returned, self._returned = self._returned, []
        try:
            self._leases.settle(settled)
            self._forget(settled)
            settled = []
            as_counted = self._suspects | self._uncounted.keys()
            self._leases.put_back([tag for tag in returned if tag not in as_counted], count=False)
            self._leases.put_back([tag for tag in returned if tag in as_counted], count=True)
            self._forget(returned)
            self._count()
        except BrokerUnavailable:
            with self._lock:
                self._settled[:0] = settled
                self._returned[:0] = returned
            raise

    def _forget(self, tags: Sequence[str]) -> None:
        self._suspects.difference_update(tags)
        for tag in tags:
            self._uncounted.pop(tag, None)

    def _count(self) -> None:
        while self._to_count:
            tag, counted = self._to_count[0]
            if tag in self._uncounted:
                self._leases.count(tag, self._uncounted[tag])
                del self._uncounted[tag]
            del self._to_count[0]
            if counted.set_running_or_notify_cancel():
                counted.set_result(None)

    def _claim(self) -> int:
        with self._lock:
            consumer, held = self._consumer, len(self._held)
        started = time.monotonic()
        free = self._share.free(room=consumer.room(), held=held, now=started) if consumer else 0
        if consumer is None or free <= 0:
            return 0
        self._claims += 1
        claimed = self._leases.claim(claim_order(consumer.queues, self._claims), free)
        if claimed:
            metrics.CLAIM.observe(time.monotonic() - started)
            metrics.REDELIVERIES.inc(sum(one.count > 1 for one in claimed))
        with self._lock:
            self._held.update((message.tag, False) for message in claimed)
            self._uncounted |= {one.tag: one.count for one in claimed if one.count >= SUSPECT_DELIVERIES}
            self._share.note(more=len(claimed) == free, held=len(self._held), now=started)
            current = self._consumer is consumer
            if not current:
                for message in claimed:
                    self._give_back(message.tag)
        if claimed and current:
            consumer.deliver(claimed)
        return len(claimed)

    def _finish(self) -> None:
        """The last turn; Redis gets some seconds to come back for it, and otherwise the leases run out."""
        until = time.monotonic() + _FLUSH_SECONDS
        while time.monotonic() < until:
            with suppress(BrokerUnavailable):
                self._tell()
                break
            time.sleep(_FIRST_PAUSE_SECONDS)
        else:
            logger.warning("Redis does not answer; what was in hand goes back to the queue when its leases run out")
        self._leases.close()

    def _say_failing(self, error: BrokerUnavailable) -> None:
        # The others, too, can renew nothing meanwhile: they get the time to notice that they can again.
        self._expired_at = time.monotonic() + self._mercy_seconds - _EXPIRE_SECONDS
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            metrics.OUTAGES.labels("broker").inc()
            logger.warning("%s; %d messages in hand are finished meanwhile", error, self.held)

    def _say_working(self) -> None:
        if self._failing_since is not None:
            logger.warning("Redis answers again, after %.0f s", time.monotonic() - self._failing_since)
            self._failing_since = None
