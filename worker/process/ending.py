"""Ending: Celery's note that this process is to end; the note is the exit code, which may be 0."""

from __future__ import annotations

from celery.worker import state


def told_to_stop() -> bool:
    """Whether Celery has noted that this worker is to end."""
    return any(note is not None and note is not False for note in (state.should_stop, state.should_terminate))


def end_worker(code: int) -> None:
    """Let Celery stop this worker soon, with this exit code."""
    state.should_stop = code


def leave_if_told_to_stop() -> None:
    """Act on the note where Celery's own loop does not run yet.

    Raises:
        SystemExit: this worker is to end.
    """
    state.maybe_shutdown()
