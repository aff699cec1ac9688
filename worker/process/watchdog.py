"""Watchdog: ends a worker that is stuck, so that others get its items and it is started again."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from worker.process import exit_codes
from worker.process.ending import told_to_stop

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

#: After the drain limit, all parts get this long to stop.
_GRACE_SECONDS = 20.0
_LAST_SECONDS = 10.0
_LOOK_SECONDS = 0.2


class Watchdog:
    """Looks in a thread of its own, which ends with the process.

    A worker that was told to stop may hang on Redis, the database or a network drive that stands still just then; and
    the event loop on whatever is called in it.
    """

    def __init__(
        self, *, ticks: Callable[[], int], silence: Callable[[], float], drain_seconds: float, last: Callable[[], None]
    ) -> None:
        """Prepare.

        Args:
            ticks: a count that grows while the event loop goes round.
            silence: how many seconds the event loop may stand still at present.
            drain_seconds: how long a worker that was told to stop may finish what is in flight.
            last: called before the process ends, for some seconds at most.
        """
        self._ticks = ticks
        self._silence = silence
        self._stop_seconds = drain_seconds + _GRACE_SECONDS
        self._last = last
        self._stopping = threading.Event()
        #: What is wrong, once something is; the process then ends within seconds.
        self.complaint: str | None = None
        #: Seconds for which the event loop has stood still, and seconds for which it may.
        self.silence = 0.0, 0.0

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="persqa-watchdog", daemon=True).start()

    def stopping(self) -> None:
        """Note that this worker is about to end, whoever told it to."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether this worker was told to stop, or is about to end."""
        return self._stopping.is_set() or told_to_stop()

    def _run(self) -> None:
        # Turns are counted instead of a clock read: while the whole process is stopped, no part of it is late.
        silent = stopping = limit = 0.0
        seen = None
        while silent <= limit and stopping <= self._stop_seconds:
            time.sleep(_LOOK_SECONDS)
            limit = self._silence()
            # When the allowance changes, the count begins again: the silence was allowed while it lasted.
            now = self._ticks(), limit
            silent = silent + _LOOK_SECONDS if now == seen else 0.0
            seen = now
            self.silence = silent, limit
            if self.is_stopping:
                stopping += _LOOK_SECONDS
        self.complaint = (
            f"not ended {stopping:.0f} s after it was told to stop" if stopping else f"nothing done for {silent:.0f} s"
        )
        logger.critical("%s; this worker ends at once, its items go elsewhere", self.complaint)
        last = threading.Thread(target=self._last, name="persqa-last", daemon=True)
        last.start()
        last.join(_LAST_SECONDS)
        os._exit(exit_codes.INFRASTRUCTURE)
