"""Identity: the name of this worker, in Redis with its leases, in SQL with its results, and for Celery."""

from __future__ import annotations

import os
import secrets
from functools import cache


def worker_name() -> str:
    """Host, process id and a random part, as in `gpu-1:4711:9f86d081`.

    Containers on the network of one host share its name, and often the process id, too.
    """
    return f"{os.uname().nodename}:{os.getpid()}:{_chance()}"


def node_name() -> str:
    """The same for Celery, which puts the host's name in place of `%h`: `worker-4711-9f86d081@gpu-1`."""
    return f"worker-{os.getpid()}-{_chance()}@%h"


@cache
def _chance() -> str:
    return secrets.token_hex(4)
