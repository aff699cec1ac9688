"""The pipe by which a worker reports to the process that started it that it is ready."""

from __future__ import annotations

import os
from contextlib import suppress

#: Names the end of a pipe, inherited from the parent, into which a worker writes once it can take messages.
READY_FD = "PERSQA_READY_FD"


def report_ready() -> None:
    """Report to the parent that the engine is loaded, where a parent wants to know."""
    # The variable goes, because the processes that this worker starts do not inherit the pipe.
    if (given := os.environ.pop(READY_FD, None)) is not None:
        # The parent may be gone.
        with suppress(BrokenPipeError):
            os.write(int(given), b"ready\n")
        os.close(int(given))
