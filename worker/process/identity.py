"""What this worker calls itself: in Redis, beside what it holds, and in SQL, beside what it answers."""

from __future__ import annotations

import os


def worker_name() -> str:
    """Host and process; no two workers that live have the same."""
    return f"{os.uname().nodename}:{os.getpid()}"
