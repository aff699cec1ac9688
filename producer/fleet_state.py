"""FleetState: what a broker tells of the runs of a database, for those who look at them from elsewhere."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.broker.depth import Backlog
    from persqa.broker.workers import WorkerInfo
    from persqa.runs import Run

#: Longest wait for an answer: who looks can look again.
_LIMIT_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """What is known of workers and queues.

    Attributes:
        workers: of the named broker, or of those that programs on this machine have started for one of the runs.
        backlog: of the named broker.
        identity: of the named broker, if it has one.
        away: why the named broker tells nothing.
        beside: whether a program on this machine that has a broker of its own works on one of the runs.
    """

    workers: Sequence[WorkerInfo] = ()
    backlog: Backlog | None = None
    identity: str | None = None
    away: str | None = None
    beside: bool = False


def fleet_state(broker_url: str | None, runs: Sequence[Run]) -> FleetState:
    """Ask the named broker about these runs; without one, ask those that work on them on this machine."""
    # Imported here, like all that loads the library of Redis: who looks at finished runs needs none of it.
    if broker_url is None:
        return _state_nearby(runs)
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from persqa.broker.depth import Inspector
    from persqa.broker.keys import queues_for
    from persqa.broker.workers import live_workers

    once = Retry(NoBackoff(), 0)
    try:
        with closing(Inspector(broker_url, timeout_seconds=_LIMIT_SECONDS, retry=once)) as inspector:
            backlog = inspector.backlog(queues_for(None, *(run.options.model for run in runs)))
            identity = inspector.known_identity()
        return FleetState(workers=live_workers(broker_url), backlog=backlog, identity=identity)
    except BrokerUnavailable as error:
        return FleetState(away=str(error))


def _state_nearby(runs: Sequence[Run]) -> FleetState:
    wanted = {run.broker for run in runs if run.broker is not None}
    if not wanted:
        return FleetState()
    from persqa.broker.nearby import nearby
    from persqa.broker.workers import live_workers

    found: list[list[WorkerInfo]] = []
    for url in nearby(wanted):
        with suppress(BrokerUnavailable):
            found.append(live_workers(url))
    return FleetState(workers=[worker for some in found for worker in some], beside=bool(found))
