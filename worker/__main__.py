"""`python -m worker`: one worker; further arguments go to `celery worker`."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from celery.bin.base import CLIContext
from celery.bin.worker import worker as celery_worker

from persqa.errors import UserError
from worker.process import exit_codes
from worker.process.ending import told_to_hurry
from worker.process.identity import node_name
from worker.process.ready_pipe import report_failure

#: A parent passes this to a worker that must not outlive it.
WITH_PARENT = "--with-parent"
#: A parent passes this if the broker is its own, so that nobody else can submit.
WITH_BROKER = "--with-broker"


def main(arguments: list[str]) -> int:
    """Run a worker until it is told to stop; returns the exit code."""
    # Taken over later (worker/process/ending.py). Until then there is nothing to finish or to give back; an exception
    # could get lost in a callback. Without a handler, process 1 of a container would not hear the signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        # This reads the settings now, because Celery would show an error in them as a traceback.
        app = import_module("worker.celery").app
    except UserError as error:
        sys.stderr.write(f"persqa worker: {error}\n")
        report_failure(error)
        return exit_codes.USER_ERROR
    app.own_broker = WITH_BROKER in arguments
    if WITH_PARENT in arguments:
        threading.Thread(target=_watch_parent, name="persqa-parent", daemon=True).start()
    # Our workers need not talk to each other, and start faster without mingle and gossip.
    standard = ["--loglevel=INFO", "--without-gossip", "--without-mingle", f"--hostname={node_name()}"]
    others = [argument for argument in arguments if argument not in (WITH_PARENT, WITH_BROKER)]
    given = [*standard, *others]
    sys.argv = ["celery", "-A", "worker", "worker", *given]  # Celery shows it as this process's title
    try:
        # Only this command: `celery` itself loads Flower, a shell and all its other commands, half as much again.
        context = CLIContext(app=app, no_color=bool(os.environ.get("NO_COLOR")), workdir=None)
        code = celery_worker.main(given, "celery worker", obj=context, auto_envvar_prefix="CELERY_WORKER") or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else exit_codes.DEFECT if end.code else 0
    # Of two wishes to stop, Celery heeds the first.
    return exit_codes.INTERRUPTED if code == 0 and told_to_hurry() else code


def _end(code: int) -> NoReturn:
    """End now: all is stopped, and Python would spend seconds on taking vLLM's and torch's modules apart."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _leave(_signal: int, _frame: object) -> None:
    os.write(sys.stderr.fileno(), b"stopped before it had begun\n")
    os._exit(0)


def _watch_parent() -> None:
    """Stop this worker when its standard input closes, because the parent held the other end."""
    # Not through Python's buffers, because a thread inside one keeps the interpreter from ending.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


# What is loaded stays, so looking for garbage in it is in vain, and takes a tenth of the time that vLLM takes to load;
# the pool takes it back afterwards. The engine's processes import this module, too: for them the guard is needed.
gc.set_threshold(100_000)
if __name__ == "__main__":
    _end(main(sys.argv[1:]))
