"""Runs a server no longer than its owners live: `guard.py FOLDER PROGRAM ARGUMENT ...`.

The owners hold the other end of its standard input. It ends the server when one of them writes something, or when all
of them are gone, however they ended; then it removes the folder, too. It is there before the server, so that there is
no moment at which only the server would be left. It is a plain script on the standard library, and starts in some ms.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_STOP_SECONDS = 5
#: Of Linux: the kernel sends this process a signal when the thread that has started it ends. The guard has one thread.
_PR_SET_PDEATHSIG = 1


def main(folder: str, command: list[str]) -> int:
    """Run the server; returns its exit code."""
    rung, bell = os.pipe()
    os.set_blocking(bell, False)
    signal.set_wakeup_fd(bell)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_end_with_guard(os.getpid()))
    owners = sys.stdin.fileno()
    ready, _, _ = select.select([owners, rung], [], [])
    alone = owners in ready and not os.read(owners, 1)
    server.terminate()
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
    if alone:
        shutil.rmtree(folder, ignore_errors=True)
    return server.wait()


def _end_with_guard(guard: int) -> Callable[[], None] | None:
    """What the server's process does first: from then on it ends even when the guard is killed."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)

    return prepare


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
