"""Orphans: engine processes whose worker is gone. They end by themselves, as a rule; this makes sure of it."""

from __future__ import annotations

import logging
import os
from contextlib import suppress

import psutil

logger = logging.getLogger(__name__)

#: Inherited by whatever a worker starts: the worker's process id.
_MARK = "PERSQA_WORKER_PROCESS"
_END_SECONDS = 10


def mark_children() -> None:
    """Let every process that this one starts from now on tell whose it is."""
    os.environ[_MARK] = str(os.getpid())


def sweep_orphans() -> int:
    """Kill what workers that are gone have left on this machine, before the engine needs the GPU; returns how many."""
    orphans = [process for process in psutil.process_iter() if _is_orphan(process)]
    for process in orphans:
        with suppress(psutil.Error):
            logger.warning("killing process %d (%s), left of a worker that is gone", process.pid, process.name())
            process.kill()
    psutil.wait_procs(orphans, timeout=_END_SECONDS)
    return len(orphans)


def _is_orphan(process: psutil.Process) -> bool:
    """Whether it was started by a worker that is not among its ancestors any more."""
    try:
        mark = process.environ().get(_MARK)
        return mark is not None and mark not in {str(one.pid) for one in (process, *process.parents())}
    except psutil.Error:
        # Gone meanwhile, or another user's.
        return False
