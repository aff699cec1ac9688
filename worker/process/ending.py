"""Ending: Celery's note that this process is to end; the note is the exit code, which may be 0."""

from __future__ import annotations

import signal

from celery.worker import state

#: Under nohup SIGHUP is ignored, and stays ignored. This is read before Celery sets its own handler.
_HANGUP_IGNORED = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def told_to_stop() -> bool:
    """Whether Celery has noted that this worker is to end."""
    return any(note is not None and note is not False for note in (state.should_stop, state.should_terminate))


def end_worker(code: int) -> None:
    """Let Celery stop this worker soon, with this exit code."""
    state.should_stop = code


def end_on_hangup() -> None:
    """Let SIGHUP end this worker as SIGTERM does.

    Celery would run a program called `celery` in the working directory in its place, meant as a restart.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN if _HANGUP_IGNORED else lambda _signal, _frame: end_worker(0))


def leave_if_told_to_stop() -> None:
    """Act on the note where Celery's own loop does not run yet.

    Raises:
        SystemExit: this worker is to end.
    """
    state.maybe_shutdown()
