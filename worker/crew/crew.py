"""Crew: keeps the workers of one machine alive, and stops them."""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING

from persqa.words import counted
from worker.process import exit_codes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from worker.crew.member import Member

logger = logging.getLogger(__name__)

#: Time after the drain limit until the crew kills workers; their own watchdogs need 30 s.
GRACE_SECONDS = 40.0

#: How often in a row each worker has to end before the crew says that none stays alive.
_HOPELESS_FAILURES = 3
_LOOK_SECONDS = 0.2
#: Signals that let the workers finish; a closed terminal sends SIGHUP.
_GENTLE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Crew:
    """Runs in the main thread until it is told to stop, or until no worker can use the settings."""

    def __init__(self, members: Sequence[Member], *, drain_seconds: float) -> None:
        self._members = members
        self._drain_seconds = drain_seconds
        self._signals: list[signal.Signals] = []
        self._stop_at: float | None = None
        self._code = 0
        self._said_hopeless = False

    def run(self) -> int:
        """Start all workers and keep them alive; returns the exit code when all have ended."""
        for number in (*_GENTLE, signal.SIGQUIT):
            # Under nohup SIGHUP is ignored, and stays ignored.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)
        try:
            while self._stop_at is None or any(member.running for member in self._members):
                self._look(time.monotonic())
                time.sleep(_LOOK_SECONDS)
        finally:
            for member in self._members:
                member.kill()
        return max([self._code, *(_judged(member.code) for member in self._members)])

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # Only noted, because a signal may interrupt this thread anywhere.
        self._signals.append(signal.Signals(number))

    def _look(self, now: float) -> None:
        while self._signals:
            self._obey(self._signals.pop(0), now)
        for member in self._members:
            member.look(now)
        if self._stop_at is None:
            self._judge(now)
        elif now > self._stop_at:
            for member in self._members:
                if member.kill():
                    logger.error("%s: not ended in time; it is killed, its items go elsewhere", member.label)

    def _obey(self, number: signal.Signals, now: float) -> None:
        if number is signal.SIGQUIT or (number is signal.SIGINT and self._stop_at is not None):
            # Celery ends at once on SIGQUIT; items in flight go back to the queue.
            self._stop(signal.SIGQUIT, f"{number.name}: the workers give back what they have begun", now)
        elif self._stop_at is None:
            running = sum(member.running for member in self._members)
            who = counted(running, "worker finishes what it has begun", "workers finish what they have begun")
            said = f"{who}, for {self._drain_seconds:g} s at most"
            self._stop(signal.SIGTERM, f"{number.name}: {said}; Ctrl-C or SIGQUIT is quicker", now)

    def _stop(self, number: signal.Signals, why: str, now: float) -> None:
        if self._stop_at is None:
            self._stop_at = now + self._drain_seconds + GRACE_SECONDS
        for member in self._members:
            member.stop(number)
        logger.info("%s", why)

    def _judge(self, now: float) -> None:
        """Give up if no worker can use the settings; log it if none stays alive for another reason."""
        if all(member.refused for member in self._members):
            self._code = exit_codes.USER_ERROR
            self._stop(signal.SIGTERM, "no worker can use these settings; the reason is above", now)
            return
        hopeless = all(member.failures >= _HOPELESS_FAILURES and not member.ready for member in self._members)
        if hopeless and not self._said_hopeless:
            logger.critical("no worker of this machine stays alive; each is still started again, with pauses")
        self._said_hopeless = hopeless


def _judged(code: int | None) -> int:
    """The crew's exit code for one of a worker; a worker that has hardly started ends of the signal itself."""
    if code is None or code in (-signal.SIGTERM, -signal.SIGQUIT):
        return 0
    return code if code >= 0 else exit_codes.INFRASTRUCTURE
