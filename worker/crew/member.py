"""Member: one worker of a crew, which is one process after another in the same place."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from persqa.own_code import own_code_only
from persqa.readiness import READY, READY_FD, WORD_BYTES
from worker.process import exit_codes

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from worker.crew.output import Output
    from worker.crew.places import Place

logger = logging.getLogger(__name__)

#: Pause before a worker is started again, doubled each time it ends without having served.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
#: A worker has served if it lives this long after its engine was loaded; earlier failures then no longer count.
SERVED_SECONDS = 60.0
#: Ends in a row with the exit code of wrong settings, before those are blamed. A worker also ends with it while its
#: GPU's memory or its port is not free yet, or the model hub is away.
REFUSALS = 3

#: Time for the last lines of a process to arrive before the crew logs that it has ended.
_LAST_WORDS_SECONDS = 0.5


class Member:
    """Starts its worker again whenever it ends, until told to stop; `now` is the caller's clock, in seconds."""

    def __init__(self, place: Place, command: Sequence[str], output: Output) -> None:
        self.label = place.label
        #: How often in a row it has ended without having served.
        self.failures = 0
        #: The exit code after it was told to stop; None if nothing ran then.
        self.code: int | None = None
        self._place = place
        self._command = command
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._relay: threading.Thread | None = None
        self._pipe: int | None = None
        self._started = 0.0
        self._ready: float | None = None
        self._ended: float | None = None
        self._due: float | None = 0.0
        self._refusals = 0
        self._was_ready = False

    @property
    def running(self) -> bool:
        """Whether it had a process at the last look."""
        return self._process is not None

    @property
    def ready(self) -> bool:
        """Whether its engine is loaded."""
        return self._ready is not None

    @property
    def refused(self) -> bool:
        """Whether it seems unable to use its settings: it was never ready, and always ends with their exit code."""
        return not self._was_ready and self._refusals >= REFUSALS

    def look(self, now: float) -> None:
        """Notice what has happened, and start the worker when it is due, without waiting."""
        if self._process is not None:
            # In this order, because it may have become ready and ended since the last look.
            code = self._process.poll()
            self._notice_ready(now)
            if code is not None:
                self._notice_end(code, now)
        elif self._due is not None and now >= self._due:
            self._start(now)

    def stop(self, number: signal.Signals) -> None:
        """Send its process a signal, and start no more."""
        self._due = None
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> bool:
        """Kill its process and all its descendants; returns whether it was running."""
        # If it has ended, another process may have its process id by now.
        if self._process is None or self._process.poll() is not None:
            return False
        with suppress(psutil.NoSuchProcess):
            # Some of them have process groups of their own.
            started = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for process in started:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        return True

    def _start(self, now: float) -> None:
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        self._started, self._ready, self._ended = now, None, None
        try:
            # In a session of its own, so that Ctrl-C reaches only the crew. Its standard input closes when the crew is
            # gone, however it ended.
            self._process = process = subprocess.Popen(
                self._command,
                env=own_code_only({**os.environ, **self._place.environment, READY_FD: str(theirs)}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(theirs,),
            )
        except OSError as error:
            logger.error("%s: cannot be started: %s", self.label, error)
            self._refusals = 0
            self._plan_next(now)
            return
        finally:
            os.close(theirs)
        assert process.stdout is not None
        self._relay = self._output.relay(self.label, process.stdout)
        logger.info("%s: started, process %d", self.label, process.pid)

    def _notice_ready(self, now: float) -> None:
        if self._ready is not None or self._pipe is None:
            return
        with suppress(BlockingIOError):
            if os.read(self._pipe, WORD_BYTES) == READY:
                self._ready = now
                self._was_ready = True
                logger.info("%s: ready after %.0f s", self.label, now - self._started)

    def _notice_end(self, code: int, now: float) -> None:
        assert self._process is not None
        assert self._relay is not None
        self._ended = now if self._ended is None else self._ended
        if self._relay.is_alive() and now - self._ended < _LAST_WORDS_SECONDS:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        what = f"{self.label}: ended with {_in_words(code)} after {now - self._started:.0f} s"
        if self._due is None:
            self.code = code
            logger.info("%s", what)
            return
        self._refusals = self._refusals + 1 if code == exit_codes.USER_ERROR else 0
        if self._ready is not None and now - self._ready >= SERVED_SECONDS:
            self.failures = 0
        pause = self._plan_next(now)
        often = f", {self.failures} times in a row without serving for long" if self.failures > 1 else ""
        logger.warning("%s%s; it starts again in %.0f s", what, often, pause)

    def _plan_next(self, now: float) -> float:
        if self._pipe is not None:
            os.close(self._pipe)
        self._pipe = self._ready = None
        pause = min(FIRST_PAUSE_SECONDS * 2**self.failures, LONGEST_PAUSE_SECONDS)
        self.failures += 1
        self._due = now + pause
        return pause


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
