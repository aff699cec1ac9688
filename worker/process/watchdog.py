"""Watchdog: ends a worker that is stuck, so that other workers get its items."""

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

#: Time for all parts to stop after the drain limit.
_GRACE_SECONDS = 20.0
_LAST_SECONDS = 10.0
_LOOK_SECONDS = 0.2


class Watchdog:
    """Looks for two kinds of hanging, in a thread that ends with the process.

    A worker that was told to stop may hang on Redis, the database or a network drive. The event loop may hang on any
    call in it.
    """

    def __init__(
        self, *, ticks: Callable[[], int], silence: Callable[[], float], drain_seconds: float, last: Callable[[], None]
    ) -> None:
        """Prepare.

        Args:
            ticks: a count that grows while nothing blocks the event loop.
            silence: how many seconds the event loop may be blocked at present.
            drain_seconds: the drain limit of a worker that was told to stop.
            last: called before the process ends, for 10 seconds at most.
        """
        self._ticks = ticks
        self._silence = silence
        self._stop_seconds = drain_seconds + _GRACE_SECONDS
        self._last = last
        self._stopping = threading.Event()
        #: What is wrong; the process ends within seconds after this is set.
        self.complaint: str | None = None
        #: For how many seconds the event loop has been blocked, and for how many it may be.
        self.silence = 0.0, 0.0

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="persqa-watchdog", daemon=True).start()

    def stopping(self) -> None:
        """Note that this worker is about to end, whoever told it to."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether this worker was told to stop, or is about to end."""
        return self._stopping.is_set() or told_to_stop()

    def _run(self) -> None:
        # Turns are counted, and no clock is read, because a process that is suspended as a whole is not stuck.
        silent = stopping = limit = 0.0
        seen = None
        while silent <= limit and stopping <= self._stop_seconds:
            time.sleep(_LOOK_SECONDS)
            limit = self._silence()
            # When the allowance changes, the count starts at 0, because the silence was allowed until then.
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
