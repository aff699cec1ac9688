"""Ending: Celery's note that this process is to end; the note is the exit code, which may be 0."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from celery.worker import state

from worker.process import exit_codes

if TYPE_CHECKING:
    from types import FrameType

#: Under nohup SIGHUP is ignored, and stays ignored. This is read before Celery sets its own handler.
_HANGUP_IGNORED = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def told_to_stop() -> bool:
    """Whether Celery has noted that this worker is to end."""
    return any(note is not None and note is not False for note in (state.should_stop, state.should_terminate))


def end_worker(code: int) -> None:
    """Let Celery stop this worker soon, with this exit code."""
    state.should_stop = code  # pyrefly: ignore[bad-assignment] - its stub has only the default


def told_to_hurry() -> bool:
    """Whether what has begun is to be given back, and not to be finished."""
    return state.should_terminate is not None and state.should_terminate is not False


def take_over_signals() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end this worker in order, with 0, and a second Ctrl-C or SIGQUIT at once.

    Celery's own handlers end with 1 after Ctrl-C, and speak of tasks that they terminate. On SIGHUP it would run a
    program called `celery` in the working directory in its place, meant as a restart.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or not _HANGUP_IGNORED:
            signal.signal(number, _stop)
    signal.signal(signal.SIGQUIT, _hurry)
    if _HANGUP_IGNORED:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and told_to_stop():
        _hurry(number, frame)
    else:
        end_worker(0)


def _hurry(_signal: int, _frame: FrameType | None) -> None:
    state.should_terminate = exit_codes.INTERRUPTED  # pyrefly: ignore[bad-assignment] - as above


def leave_if_told_to_stop() -> None:
    """Act on the note where Celery's own loop does not run yet.

    Raises:
        SystemExit: this worker is to end.
    """
    state.maybe_shutdown()
