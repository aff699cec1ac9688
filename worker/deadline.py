"""Deadline: a worker that was told to stop has ended some time later, whatever it hangs on."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from celery.worker import state

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Beyond the drain limit, for taking everything apart.
_GRACE_SECONDS = 20.0
_LAST_SECONDS = 10.0
_LOOK_SECONDS = 0.2
_EXIT_INFRASTRUCTURE = 3


def told_to_stop() -> bool:
    """Whether Celery has noted that this worker is to end; the note is the exit code, and that may be 0."""
    return any(note is not None and note is not False for note in (state.should_stop, state.should_terminate))


class Deadline:
    """Waits in a thread of its own, which ends with the process.

    Redis, the database or a network drive may stand still just then, and hold the thread that is to end the process.
    """

    def __init__(self, drain_seconds: float, *, last: Callable[[], None]) -> None:
        """Prepare.

        Args:
            drain_seconds: how long the worker may finish what is in flight.
            last: called before the process is ended; gets some seconds.
        """
        self._seconds = drain_seconds + _GRACE_SECONDS
        self._last = last

    def start(self) -> None:
        """Begin to look whether the worker was told to stop."""
        threading.Thread(target=self._run, name="persqa-deadline", daemon=True).start()

    def _run(self) -> None:
        while not told_to_stop():
            time.sleep(_LOOK_SECONDS)
        time.sleep(self._seconds)
        logger.critical("not ended %g s after it was told to stop; ends now", self._seconds)
        last = threading.Thread(target=self._last, name="persqa-last", daemon=True)
        last.start()
        last.join(_LAST_SECONDS)
        os._exit(_EXIT_INFRASTRUCTURE)
