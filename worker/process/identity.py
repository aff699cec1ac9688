"""The name of this worker: in Redis beside what it holds, and in SQL beside what it answers."""

from __future__ import annotations

import os


def worker_name() -> str:
    """Host and process id; no two living workers have the same name."""
    return f"{os.uname().nodename}:{os.getpid()}"
