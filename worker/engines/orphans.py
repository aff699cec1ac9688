"""Orphans: engine processes whose worker is gone; most end by themselves, and this ends the rest."""

from __future__ import annotations

import logging
import os
from contextlib import suppress

import psutil

logger = logging.getLogger(__name__)

#: The worker's process id, in the environment of all processes that it starts.
_MARK = "PERSQA_WORKER_PROCESS"
_END_SECONDS = 10


def mark_children() -> None:
    """Mark every process that this one starts from now on as its own."""
    os.environ[_MARK] = str(os.getpid())


def sweep_orphans() -> int:
    """Kill what dead workers have left on this machine, before the engine needs the GPU; returns how many."""
    orphans = [process for process in psutil.process_iter() if _is_orphan(process)]
    for process in orphans:
        with suppress(psutil.Error):
            logger.warning("killing process %d (%s), left behind by a dead worker", process.pid, process.name())
            process.kill()
    psutil.wait_procs(orphans, timeout=_END_SECONDS)
    return len(orphans)


def _is_orphan(process: psutil.Process) -> bool:
    """Whether a worker started it that is no longer among its ancestors."""
    try:
        mark = process.environ().get(_MARK)
        return mark is not None and mark not in {str(one.pid) for one in (process, *process.parents())}
    except psutil.Error:
        # It has ended meanwhile, or belongs to another user.
        return False
