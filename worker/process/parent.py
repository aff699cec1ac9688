"""What a worker tells the process that started it."""

from __future__ import annotations

import os
from contextlib import suppress

#: Names the end of a pipe, inherited from the parent, into which a worker writes once it can take messages.
READY_FD = "PERSQA_READY_FD"


def tell_ready() -> None:
    """Tell the parent, where there is one that wants to know, that the engine is loaded."""
    # Taken away, for no process of this worker's own has the pipe.
    if (given := os.environ.pop(READY_FD, None)) is not None:
        # A parent that is gone wants to know nothing any more.
        with suppress(BrokenPipeError):
            os.write(int(given), b"ready\n")
        os.close(int(given))
