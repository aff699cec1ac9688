"""`python -m worker`: one worker; further arguments go to `celery worker`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib import import_module

from celery.bin.celery import main as celery_main

from persqa.errors import UserError

#: Given by a parent that wants no worker to outlive it.
UNTIL_STDIN_CLOSES = "--until-stdin-closes"


def main(arguments: list[str]) -> int:
    """Run a worker until it is told to stop; returns the exit code."""
    if UNTIL_STDIN_CLOSES in arguments:
        arguments = [argument for argument in arguments if argument != UNTIL_STDIN_CLOSES]
        threading.Thread(target=_stop_when_stdin_closes, name="persqa-parent", daemon=True).start()
    try:
        # Reads the settings. Celery would load it too, and show their errors as a traceback.
        import_module("worker.celery")
    except UserError as error:
        sys.stderr.write(f"persqa worker: {error}\n")
        return 2
    # Mingle and gossip let workers talk to each other; ours have nothing to say and start faster without.
    standard = ["--loglevel=INFO", "--without-gossip", "--without-mingle", f"--hostname=worker-{os.getpid()}@%h"]
    sys.argv = ["celery", "-A", "worker", "worker", *standard, *arguments]
    return celery_main()


def _stop_when_stdin_closes() -> None:
    # Below Python's buffers: a thread inside one of those would be in the way when the interpreter ends.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


# The engine's processes are spawned and import this module again.
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
