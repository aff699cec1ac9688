"""What the tests of faults have in common."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.settings import Settings
    from producer import RunHandle
    from tests.conftest import Site


#: Leases are short here, so that what takes 35 seconds with the usual ones takes 7.
LEASE_SECONDS = 2.0


def quick(site: Site, script: str, **changes: Any) -> Settings:
    """Settings with short leases and one of the scripts."""
    short = {"lease_seconds": LEASE_SECONDS, "reconcile_seconds": 2.0, **changes}
    return scripted(site.settings, script).model_copy(update=short)


def rigged(settings: Settings, folder: Path, *rigs: str) -> WorkerProcess:
    """A worker with something about it changed."""
    return WorkerProcess(settings, folder, command=("-m", "tests.support.rigged_worker", *rigs))


def finish(run: RunHandle, seconds: float = 120) -> None:
    """Wait for the end of the run."""
    run.wait(timeout_seconds=seconds, display=lambda _progress: None)


def wait_progress(run: RunHandle, *, seconds: float = 30) -> None:
    """Wait until another item has ended."""
    before = run.progress().pending
    wait_until(lambda: run.progress().pending < before, describe=f"fewer than {before} pending", seconds=seconds)


def notes(file: Path) -> Counter[str]:
    """How often each item was begun."""
    return Counter(file.read_text().split()) if file.exists() else Counter()
