"""Orphans: engine processes whose worker is gone; this ends those that do not end by themselves."""

from __future__ import annotations

import logging
import os
from contextlib import suppress

import psutil

logger = logging.getLogger(__name__)

#: Variable with the worker's process id, in the environment of all processes that it starts.
_MARK = "PERSQA_WORKER_PROCESS"
_END_SECONDS = 10


def mark_children() -> None:
    """Mark all processes that this one starts from now on."""
    os.environ[_MARK] = str(os.getpid())


def sweep_orphans() -> int:
    """Kill the processes that dead workers have left on this machine; returns how many."""
    orphans = [process for process in psutil.process_iter() if _is_orphan(process)]
    for process in orphans:
        with suppress(psutil.Error):
            logger.warning("killing process %d (%s), left behind by a dead worker", process.pid, process.name())
            process.kill()
    psutil.wait_procs(orphans, timeout=_END_SECONDS)
    return len(orphans)


def _is_orphan(process: psutil.Process) -> bool:
    """Whether the worker that started it is no longer among its ancestors."""
    try:
        mark = process.environ().get(_MARK)
        return mark is not None and mark not in {str(one.pid) for one in (process, *process.parents())}
    except psutil.Error:
        # It has ended meanwhile, or belongs to another user.
        return False
