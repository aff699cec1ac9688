"""An engine that calculates in its own process, as on a GPU, and in one thread.

On a CPU vLLM has another process for that, which imports everything again: a dozen seconds of processor time at each
start. What an engine answers is the same. A first run without any setting has both processes, and with `--chaos` the
worker that most end-to-end tests share.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

# Threads that vLLM has not bound to cores wait for each other in loops, on a busy machine for ten times as long as they
# calculate.
_VARIABLES = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"}


def in_one_process() -> dict[str, str]:
    """All variables of this process, for a program whose engine is like that."""
    return {**os.environ, **_VARIABLES}


@contextmanager
def engines_in_one_process() -> Generator[None]:
    """What this process starts meanwhile is like that."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in _VARIABLES.items():
            patched.setenv(name, value)
        yield
