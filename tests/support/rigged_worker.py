"""A worker with something about it changed: `python -m tests.support.rigged_worker RIG ...`.

dies:POINT:N     kills itself the Nth time it comes to POINT, one of `POINTS`
clock:SECONDS    its clock is wrong by so much
loses_reply:N    the database commits the Nth transaction, and the worker hears that the connection broke
slow_end:SECONDS its engine takes so long to end
stuck_commit:N   the database never answers the Nth commit
forgetful        its engine tells nobody but one that it died, and does not end what it was asked
stuck_load:N     loading its engine the Nth time takes for ever, until it is killed
breaks_keeper:N  the thread that keeps the leases meets a defect, the Nth time it claims something
breaks_commit:N  the thread that commits meets a defect, at the Nth commit
stock            consumes over kombu's own transport, without leases: what the faults are like without ours
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from functools import wraps
from typing import TYPE_CHECKING, Any

from celery import Celery

from persqa.broker.leases import Leases
from persqa.errors import SettingsError, StoreUnavailable
from persqa.store.results import Results
from tests.support.scripted_engine import ScriptedEngine
from tests.support.wait import give_way
from worker.images.loader import ImageLoader

if TYPE_CHECKING:
    from collections.abc import Callable


#: Where a worker may die: the method, whether the step is done by then, and whether a call without content counts.
POINTS: dict[str, tuple[type, str, bool]] = {
    "claim": (Leases, "claim", True),
    "image": (ImageLoader, "load", False),
    "generate": (ScriptedEngine, "generate", False),
    "before_commit": (Results, "commit", False),
    "after_commit": (Results, "commit", True),
    "acknowledge": (Leases, "settle", False),
    "expire": (Leases, "expire", False),
}


def _dies(point: str, number: str) -> None:
    owner, name, afterwards = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    def maybe_die(content: object) -> None:
        # The keeper claims and settles nothing most of the time.
        if content != [] and next(calls) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    @wraps(original)
    def rigged(self: object, *arguments: Any, **options: Any) -> Any:
        if not afterwards:
            maybe_die(arguments[0] if arguments else None)
        answer = original(self, *arguments, **options)
        if afterwards:
            maybe_die(answer)
        return answer

    setattr(owner, name, rigged)


def _clock(seconds: str) -> None:
    right = time.time
    time.time = lambda: right() + float(seconds)


def _loses_reply(number: str) -> None:
    original = Results.commit
    calls = itertools.count(1)

    @wraps(original)
    def rigged(self: Results, *arguments: Any, **options: Any) -> Any:
        answer = original(self, *arguments, **options)
        if next(calls) == int(number):
            raise StoreUnavailable("the reply to the commit was lost, as rigged")
        return answer

    Results.commit = rigged


def _stuck_commit(number: str) -> None:
    original = Results.commit
    calls = itertools.count(1)

    @wraps(original)
    def rigged(self: Results, *arguments: Any, **options: Any) -> Any:
        if next(calls) == int(number):
            threading.Event().wait()
        return original(self, *arguments, **options)

    Results.commit = rigged


def _breaks_commit(number: str) -> None:
    original = Results.commit
    calls = itertools.count(1)

    @wraps(original)
    def rigged(self: Results, *arguments: Any, **options: Any) -> Any:
        if next(calls) == int(number):
            raise KeyError("nobody thought of this, as rigged")
        return original(self, *arguments, **options)

    Results.commit = rigged


def _slow_end(seconds: str) -> None:
    async def stop(self: ScriptedEngine) -> None:  # noqa: ARG001
        await give_way(float(seconds))

    ScriptedEngine.stop = stop


def _forgetful() -> None:
    ScriptedEngine.tells_all = False


def _stuck_load(number: str) -> None:
    calls = itertools.count(1)
    killed = threading.Event()

    async def start(self: ScriptedEngine) -> None:  # noqa: ARG001
        if next(calls) == int(number):
            # As vLLM does, this blocks the loop.
            killed.wait()
            raise SettingsError("the engine was killed while it was loading, as rigged")

    def kill(self: ScriptedEngine) -> None:  # noqa: ARG001
        killed.set()

    ScriptedEngine.start = start
    ScriptedEngine.kill = kill


def _breaks_keeper(number: str) -> None:
    original = Leases.claim
    calls = itertools.count(1)

    @wraps(original)
    def rigged(self: Leases, *arguments: Any, **options: Any) -> Any:
        claimed = original(self, *arguments, **options)
        if claimed and next(calls) == int(number):
            raise KeyError("nobody thought of this, as rigged")
        return claimed

    Leases.claim = rigged


def _stock() -> None:
    # It reads the settings when imported, and tests import this module, too.
    from worker.celery import LeasingCelery

    LeasingCelery.connection_for_read = Celery.connection_for_read


def main() -> int:
    """Rig, and run."""
    rigs: dict[str, Callable[..., None]] = {
        "dies": _dies,
        "clock": _clock,
        "loses_reply": _loses_reply,
        "slow_end": _slow_end,
        "stuck_commit": _stuck_commit,
        "stuck_load": _stuck_load,
        "forgetful": _forgetful,
        "breaks_keeper": _breaks_keeper,
        "breaks_commit": _breaks_commit,
        "stock": _stock,
    }
    for argument in sys.argv[1:]:
        name, *values = argument.split(":")
        rigs[name](*values)
    # Loads all of Celery's command line, and tests import this module, too.
    from worker import __main__ as worker_main

    return worker_main.main([])


if __name__ == "__main__":
    sys.exit(main())
