"""LeaseKeeper: one thread and one connection that claim messages, and keep or end their leases.

It claims as many messages as there is room for, renews the leases of those it holds, settles those whose results are
committed, and puts back what dead workers held. It knows nothing of Celery, so Celery's connections can come and go.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from persqa.broker.leases import SUSPECT_DELIVERIES
from persqa.broker.pushes import Pushes
from persqa.errors import BrokerUnavailable
from worker.leases.bell import Bell
from worker.leases.claiming import NOTICE_SECONDS, Consumer, SlowStart, claim_order
from worker.leases.holding import Holding
from worker.process import metrics

if TYPE_CHECKING:
    from persqa.broker.leases import Leases

logger = logging.getLogger(__name__)

#: How many times a lease is renewed in the time it lasts.
_RENEWALS = 4
_EXPIRE_SECONDS = 2.0
#: Pauses of the thread: after a claim that brought messages, and the longest one while the queue is empty.
_BUSY_SECONDS = 0.005
_IDLE_SECONDS = NOTICE_SECONDS
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0
_FLUSH_SECONDS = 5.0


class LeaseKeeper:
    """Owns the leases of one worker process; may be called from any thread.

    The thread starts with the first consumer. Nobody else may use `leases`. A lease that is not renewed ends after
    `lease_seconds`.
    """

    def __init__(self, leases: Leases, *, lease_seconds: float) -> None:
        self._leases = leases
        self._renew_every = lease_seconds / _RENEWALS
        self._mercy_seconds = leases.timeout_seconds + _LONGEST_PAUSE_SECONDS + self._renew_every
        # Reentrant, because one of Celery's signal handlers may call while its own thread is inside.
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._bell = Bell(Pushes(leases.url), self._wake.set)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._consumer: Consumer | None = None
        #: The messages that this worker holds, by delivery tag.
        self._held: dict[str, Holding] = {}
        #: What Redis does not know yet: messages that are settled, given back, or on trial.
        self._settled: list[str] = []
        self._returned: dict[str, Holding] = {}
        self._tried: list[tuple[str, Future[None]]] = []
        self._renewed_at = self._expired_at = time.monotonic()
        self._claims = 0
        self._slow_start = SlowStart()
        self._failing_since: float | None = None

    @property
    def held(self) -> int:
        """How many messages this worker holds."""
        return len(self._held)

    def attach(self, consumer: Consumer) -> None:
        """Claim for this consumer instead of the last one."""
        with self._lock:
            self._consumer = consumer
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="persqa-leases", daemon=True)
                self._thread.start()
        self._wake.set()

    def detach(self) -> None:
        """Stop claiming, and give back what the consumer got and the pool has not begun with."""
        with self._lock:
            self._consumer = None
            for tag in [tag for tag, holding in self._held.items() if not holding.begun]:
                self._give_back(tag)
        self._wake.set()

    def awaits(self, tag: str) -> bool:
        """Whether this worker holds the message, and the pool has not begun with it."""
        holding = self._held.get(tag)
        return holding is not None and not holding.begun

    def begin(self, tag: str) -> None:
        """Note that the pool has begun with the message; from now on it is kept, whatever Celery's connection does."""
        with self._lock:
            if (holding := self._held.get(tag)) is not None:
                holding.begun = True

    def count(self, tag: str) -> Future[None]:
        """Have Redis count this delivery of a message that is tried now; done when Redis has done so."""
        counted: Future[None] = Future()
        with self._lock:
            self._tried.append((tag, counted))
        self._wake.set()
        return counted

    def suspect(self, tag: str) -> None:
        """Count this delivery as a failed one if the message is given back."""
        with self._lock:
            if (holding := self._held.get(tag) or self._returned.get(tag)) is not None:
                holding.suspect = True

    def settle(self, tag: str) -> None:
        """Take the message out of the queue for good."""
        with self._lock:
            if self._held.pop(tag, None) is not None:
                self._settled.append(tag)
        self._wake.set()

    def give_back(self, tag: str) -> None:
        """Return the message to the queue at once; the delivery does not count as a failed one."""
        with self._lock:
            self._give_back(tag)
        self._wake.set()

    def set_aside(self, tag: str, ledger: str) -> None:
        """Leave the message to the workers of another ledger."""
        with self._lock:
            if (holding := self._held.get(tag)) is not None:
                holding.ledger = ledger
            self._give_back(tag)
        self._wake.set()

    def close(self) -> None:
        """Give back all that is held, and end the thread; safe to call twice."""
        with self._lock:
            self._consumer = None
            for tag in list(self._held):
                self._give_back(tag)
        self._ending.set()
        self._wake.set()
        if (thread := self._thread) is not None:
            thread.join()

    def _give_back(self, tag: str) -> None:
        if (holding := self._held.pop(tag, None)) is not None:
            self._returned[tag] = holding

    def _run(self) -> None:
        try:
            self._keep()
        except Exception:
            # Without this thread nothing is settled. Others get what this worker holds when the leases run out.
            logger.critical("a defect of PersQA; this worker ends at once, its items go elsewhere", exc_info=True)
            os._exit(1)

    def _keep(self) -> None:
        idle = _BUSY_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while not self._ending.is_set():
            try:
                claimed = self._turn()
            except BrokerUnavailable as error:
                # The address may lead to another server by now.
                self._leases.close()
                self._note_failure(error)
                self._ending.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            self._note_success()
            pause = _FIRST_PAUSE_SECONDS
            # The thread looks less and less often while the queue is empty.
            idle = _BUSY_SECONDS if claimed else min(1.5 * idle, _IDLE_SECONDS)
            self._wake.wait(idle)
            self._wake.clear()
            # A short wait gathers several messages to be settled together.
            self._ending.wait(_BUSY_SECONDS)
        self._finish()

    def _turn(self) -> int:
        """Do everything that is due; returns how many messages were claimed."""
        now = time.monotonic()
        if now - self._renewed_at >= self._renew_every:
            with self._lock:
                tags = list(self._held)
            metrics.RENEWALS.inc(self._leases.renew(tags))
            self._renewed_at = now
        self._flush()
        self._look_whether_late(now)
        if now - self._expired_at >= _EXPIRE_SECONDS:
            expired = self._leases.expire()
            self._expired_at = now
            if expired:
                metrics.EXPIRED.inc(len(expired))
                logger.warning("messages of dead workers, put back into the queue: %d", len(expired))
        claimed = self._claim()
        self._look_whether_late(now)
        return claimed

    def _flush(self) -> None:
        """Tell Redis what it does not know yet; the next turn repeats what fails."""
        with self._lock:
            settled, self._settled = self._settled, []
            returned, self._returned = self._returned, {}
        try:
            self._leases.settle(settled)
            settled = []
            alike: defaultdict[tuple[bool, str | None], list[str]] = defaultdict(list)
            for tag, holding in returned.items():
                alike[holding.failed, holding.ledger].append(tag)
            for (failed, ledger), tags in alike.items():
                self._leases.put_back(tags, count=failed, ledger=ledger)
            self._count_tried()
        except BrokerUnavailable:
            with self._lock:
                self._settled[:0] = settled
                self._returned = returned | self._returned
            raise

    def _count_tried(self) -> None:
        while self._tried:
            tag, counted = self._tried[0]
            holding = self._held.get(tag)
            if holding is not None and holding.uncounted is not None:
                self._leases.count(tag, holding.uncounted)
                holding.uncounted = None
            del self._tried[0]
            if counted.set_running_or_notify_cancel():
                counted.set_result(None)

    def _claim(self) -> int:
        with self._lock:
            consumer, held = self._consumer, len(self._held)
        started = time.monotonic()
        free = self._slow_start.free(room=consumer.room(), held=held, now=started) if consumer else 0
        if consumer is None or free <= 0:
            self._bell.listen(())
            return 0
        self._claims += 1
        claimed = self._leases.claim(claim_order(consumer.queues, self._claims), free, ledger=consumer.ledger)
        self._bell.listen(consumer.queues if len(claimed) < free else ())
        if claimed:
            metrics.CLAIM.observe(time.monotonic() - started)
            metrics.REDELIVERIES.inc(sum(one.count > 1 for one in claimed))
        with self._lock:
            for one in claimed:
                self._held[one.tag] = Holding(uncounted=one.count if one.count >= SUSPECT_DELIVERIES else None)
            self._slow_start.note(more=len(claimed) == free, held=len(self._held), now=started)
            current = self._consumer is consumer
            if not current:
                for one in claimed:
                    self._give_back(one.tag)
        if claimed and current:
            consumer.deliver(claimed)
        return len(claimed)

    def _finish(self) -> None:
        """Tell Redis the last changes; give up after some seconds, as the leases then run out."""
        self._bell.close()
        until = time.monotonic() + _FLUSH_SECONDS
        while time.monotonic() < until:
            with suppress(BrokerUnavailable):
                self._flush()
                break
            time.sleep(_FIRST_PAUSE_SECONDS)
        else:
            logger.warning("Redis does not answer; the messages held go back to the queue when their leases run out")
        self._leases.close()

    def _note_failure(self, error: BrokerUnavailable) -> None:
        self._be_merciful()
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            metrics.OUTAGES.labels("broker").inc()
            logger.warning("%s; what is in hand is finished meanwhile (%d)", error, self.held)

    def _look_whether_late(self, asked_at: float) -> None:
        """Redis that answers so late is as good as away."""
        if time.monotonic() - asked_at > self._renew_every:
            self._be_merciful()

    def _be_merciful(self) -> None:
        """Other workers cannot renew their leases either: they get time for it before theirs are taken for lost."""
        self._expired_at = time.monotonic() + self._mercy_seconds - _EXPIRE_SECONDS

    def _note_success(self) -> None:
        if self._failing_since is not None:
            logger.warning("Redis answers again, after %.0f s", time.monotonic() - self._failing_since)
            self._failing_since = None
