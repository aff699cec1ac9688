"""Orphans: engine processes whose worker is gone; this ends those that do not end by themselves.

An engine stamps what it starts, by a variable of the environment that names the engine and its owner. Process ids are
used again, and each container counts its own, so the stamp also says where and since when its owner runs.
"""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Generator

logger = logging.getLogger(__name__)

_STAMP = "PERSQA_ENGINE_OF"
_END_SECONDS = 10
_PROC = Path("/proc")


def new_stamp() -> str:
    """A stamp for the processes of one engine of this process; empty, and never swept, where there is no `/proc`."""
    try:
        return f"{_place()} {os.getpid()} {_started(os.getpid())} {secrets.token_hex(8)}"
    except OSError:
        return ""


@contextmanager
def stamping(stamp: str) -> Generator[None]:
    """Stamp what this process starts meanwhile, and what that starts in turn."""
    # vLLM's processes give themselves titles, which setproctitle would write over their variables without the second.
    changes = {_STAMP: stamp, "SPT_NOENV": "1"}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def kill_stamped(stamp: str) -> None:
    """Kill the descendants of this process that have the stamp."""
    for process in _stamped(stamp):
        with suppress(psutil.Error):
            process.kill()


@contextmanager
def ending_with(stamp: str) -> Generator[None]:
    """Kill what has the stamp at the end, and wait until the system has freed what it had."""
    processes = _stamped(stamp)
    yield
    kill_stamped(stamp)
    psutil.wait_procs(processes, timeout=_END_SECONDS)


def _stamped(stamp: str) -> list[psutil.Process]:
    """The descendants of this process with this stamp; not Python's own helper, which serves all engines."""
    found: list[psutil.Process] = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            helps = "multiprocessing.resource_tracker" in " ".join(process.cmdline())
            if process.environ().get(_STAMP) == stamp and not helps:
                found.append(process)
    return found


def sweep_orphans() -> int:
    """Kill the engine processes that dead workers have left in this container or on this machine; returns how many."""
    with suppress(OSError):
        here = _place()
        orphans = [process for process in psutil.process_iter() if _is_orphan(process, here)]
        for process in orphans:
            with suppress(psutil.Error):
                logger.warning("killing process %d (%s), left behind by a dead worker", process.pid, process.name())
                process.kill()
        psutil.wait_procs(orphans, timeout=_END_SECONDS)
        return len(orphans)
    return 0


def _is_orphan(process: psutil.Process, here: str) -> bool:
    """Whether it belongs to an engine whose owner ran here and does so no longer."""
    try:
        match process.environ().get(_STAMP, "").split():
            case [boot, namespace, owner, started, _] if f"{boot} {namespace}" == here:
                return not _runs(int(owner), started)
            case _:
                return False
    except (psutil.Error, OSError, ValueError):
        # It has ended meanwhile, or belongs to another user; or the stamp is not ours.
        return False


def _place() -> str:
    """This boot of the machine, and the space of process ids that this process is in."""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {(_PROC / 'self/ns/pid').stat().st_ino}"


def _runs(number: int, started: str) -> bool:
    """Whether the process of this id that began then is still there."""
    try:
        return _started(number) == started
    except (FileNotFoundError, ProcessLookupError):
        return False


def _started(number: int) -> str:
    """When a process began, in ticks since the machine did, so that no change of the clock matters; raises OSError."""
    # The name, in brackets, may contain anything.
    state, *fields = (_PROC / str(number) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    if state in "ZX":
        raise ProcessLookupError(number, "it has ended, and nobody has noticed yet")
    return fields[18]
