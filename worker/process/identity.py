"""Identity: the name of this worker, in Redis with its leases and in SQL with its results."""

from __future__ import annotations

import os


def worker_name() -> str:
    """Host and process id, which no two living workers share."""
    return f"{os.uname().nodename}:{os.getpid()}"
