"""`python -m worker`: one worker; further arguments go to `celery worker`."""

from __future__ import annotations

import os
import signal
import sys
import threading

from persqa.errors import UserError

#: Given by a parent that wants no worker to outlive it.
UNTIL_STDIN_CLOSES = "--until-stdin-closes"


def main(arguments: list[str]) -> int:
    """Run a worker until it is told to stop; returns the exit code."""
    if UNTIL_STDIN_CLOSES in arguments:
        arguments = [argument for argument in arguments if argument != UNTIL_STDIN_CLOSES]
        threading.Thread(target=_stop_when_stdin_closes, name="persqa-parent", daemon=True).start()
    try:
        from worker.celery import app
    except UserError as error:
        sys.stderr.write(f"persqa worker: {error}\n")
        return 2
    # Mingle and gossip let workers talk to each other; ours have nothing to say and start faster without.
    standard = ["worker", "--loglevel=INFO", "--without-gossip", "--without-mingle"]
    app.worker_main([*standard, f"--hostname=worker-{os.getpid()}@%h", *arguments])
    return 0


def _stop_when_stdin_closes() -> None:
    # Below Python's buffers: a thread inside one of those would be in the way when the interpreter ends.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


# The engine's processes are spawned and import this module again.
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
