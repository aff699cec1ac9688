"""Loading steps: how far an engine is that is being loaded, told by its own processes.

vLLM loads a model in a process of its own, and its log is silent about that by default. Our plugin in that process
writes to a pipe of the worker's, which it finds by `/proc`. Where there is none, only the worker's own steps are known.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from persqa.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_PIPE = "PERSQA_LOADING_STEPS"
_STEPS = (Phase.WEIGHTS, Phase.PROFILING)
_END = "end"


@contextmanager
def hearing_steps(enter: Callable[[Phase], None]) -> Generator[None]:
    """Call `enter`, in a thread, for each step that is told by what this process starts in the block."""
    reading, writing = os.pipe()
    os.environ[_PIPE] = f"/proc/{os.getpid()}/fd/{writing}"
    thread = threading.Thread(target=_hear, args=(reading, enter), name="persqa-steps", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.environ.pop(_PIPE, None)
        # Not by closing it, as a process may hold the other end longer.
        os.write(writing, f"{_END}\n".encode())
        thread.join()
        os.close(writing)


def tell_step(step: Phase) -> None:
    """Tell the worker that this step begins, if it listens; never fails."""
    with suppress(KeyError, OSError):
        pipe = os.open(os.environ[_PIPE], os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, f"{step}\n".encode())
        finally:
            os.close(pipe)


def _hear(pipe: int, enter: Callable[[Phase], None]) -> None:
    coming = list(_STEPS)
    with os.fdopen(pipe, errors="replace") as lines:
        for line in lines:
            word = line.strip()
            if word == _END:
                return
            # Each of several processes tells its own, and the first one counts.
            while word in coming:
                step = coming.pop(0)
                if step == word:
                    enter(step)
