"""Ready pipe: by it a worker reports to its parent process that it is ready, or why it never will be."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from persqa.readiness import READY, READY_FD, encode_failure

if TYPE_CHECKING:
    from persqa.errors import PersqaError


def report_ready() -> None:
    """Report to the parent, if it has given a pipe, that the engine is loaded."""
    _report(READY)


def report_failure(error: PersqaError) -> None:
    """Report to the parent why this worker cannot start."""
    _report(encode_failure(error))


def _report(word: bytes) -> None:
    # The variable is removed, because the processes that this worker starts do not inherit the pipe.
    if (given := os.environ.pop(READY_FD, None)) is not None:
        # The parent may be gone.
        with suppress(BrokenPipeError):
            os.write(int(given), word)
        os.close(int(given))
