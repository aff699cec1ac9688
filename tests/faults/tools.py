"""What the tests of faults have in common."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from tests.support.wait import spend, wait_until
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


def lost_without_leases(run: RunHandle, settings: Settings) -> set[str]:
    """The items that are pending, and neither in the queue nor with a worker on kombu's own transport."""
    first = _missing(run, settings)
    # What is on its way from the one to the other is missing for a moment only.
    spend(0.2)
    return first and first & _missing(run, settings)


def _missing(run: RunHandle, settings: Settings) -> set[str]:
    with closing(connect(settings.broker_url or "")) as redis:
        pending = {str(row.item_id) for row in run.results(status="pending")}
        waiting = {json.loads(entry)["headers"]["id"] for entry in redis.lrange(QUEUE, 0, -1)}
        held = {json.loads(entry)[0]["headers"]["id"] for entry in redis.hvals("persqa:unacked")}
        return pending - waiting - held


def notes(file: Path) -> Counter[str]:
    """How often each item was begun."""
    return Counter(file.read_text().split()) if file.exists() else Counter()
