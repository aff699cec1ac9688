"""`python -m worker`: one worker; further arguments go to `celery worker`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module

from celery.bin.celery import main as celery_main

from persqa.broker.connection import connect, translated
from persqa.errors import BrokerUnavailable, UserError
from worker.process import exit_codes
from worker.process.ready_pipe import report_failure

#: A parent passes this to a worker that must not outlive it.
WITH_PARENT = "--with-parent"
#: A parent passes this if it has started the broker for this worker alone.
WITH_BROKER = "--with-broker"


def main(arguments: list[str]) -> int:
    """Run a worker until it is told to stop; returns the exit code."""
    try:
        # This reads the settings now, because Celery would show an error in them as a traceback.
        app = import_module("worker.celery").app
    except UserError as error:
        sys.stderr.write(f"persqa worker: {error}\n")
        report_failure(error)
        return exit_codes.USER_ERROR
    # Celery takes the signal over later. Without this, an early signal would leave the parent's broker running.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit())
    orphaned = threading.Event()
    if WITH_PARENT in arguments:
        threading.Thread(target=_watch_parent, args=(orphaned,), name="persqa-parent", daemon=True).start()
    # Our workers need not talk to each other, and start faster without mingle and gossip.
    standard = ["--loglevel=INFO", "--without-gossip", "--without-mingle", f"--hostname=worker-{os.getpid()}@%h"]
    others = [argument for argument in arguments if argument not in (WITH_PARENT, WITH_BROKER)]
    sys.argv = ["celery", "-A", "worker", "worker", *standard, *others]
    try:
        return celery_main()
    finally:
        if orphaned.is_set() and WITH_BROKER in arguments:
            _stop_broker(app.settings.broker_url)


def _watch_parent(orphaned: threading.Event) -> None:
    """Stop this worker when its standard input closes, because the parent held the other end."""
    # Not through Python's buffers, because a thread inside one keeps the interpreter from ending.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    orphaned.set()
    os.kill(os.getpid(), signal.SIGTERM)


def _stop_broker(url: str) -> None:
    with suppress(BrokerUnavailable), translated(url):
        connect(url).shutdown(nosave=True)  # pyright: ignore[reportUnknownMemberType] - not typed


# The guard is needed: the engine's processes are spawned, and import this module again.
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
