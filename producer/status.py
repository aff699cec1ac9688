"""Status: how far runs are, who works on them, and what keeps them from going on; for commands and for pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from persqa.audit import ELSEWHERE
from persqa.clock import duration, seconds_since
from persqa.runs import RunState
from producer.fleet_state import fleet_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from persqa.broker.depth import QueueBacklog
    from persqa.broker.workers import WorkerInfo
    from persqa.flags import Flag
    from persqa.progress import Progress
    from persqa.runs import Run
    from persqa.store import Store
    from producer.fleet_state import FleetState

_NOBODY = (
    "no broker is named, and no `persqa run` on this machine works on what is pending; workers of a broker are shown "
    "with --broker-url URL"
)
_STARTING = "a `persqa run` on this machine is at work, and its worker says nothing yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One run, as it is now.

    Attributes:
        progress: how many items have which status.
        rate: items that workers ended, a second; None where nothing runs.
        flags: how many items have each flag, the most frequent first.
    """

    run: Run
    progress: Progress
    rate: float | None = None
    flags: Mapping[Flag, int] = field(default_factory=dict["Flag", int])

    @property
    def seconds_left(self) -> int | None:
        """How long the pending items take at this rate, in seconds; None where nothing runs."""
        return round(self.progress.pending / self.rate) if self.rate else None

    @property
    def is_begun(self) -> bool:
        """Whether workers begin items of it."""
        return self.progress.pending > 0 and self.progress.state is RunState.ACTIVE

    def facts(self) -> dict[str, object]:
        """All of this, for programs."""
        return {
            "run": self.run.name,
            **self.progress.counts,
            "items_per_second": round(self.rate, 2) if self.rate else None,
            "seconds_left": self.seconds_left,
            "model": self.run.options.model,
            "priority": self.run.priority,
            "state": self.progress.state,
            "open": self.run.open,
            "stopped": None if self.progress.stop is None else str(self.progress.stop),
            "created_at": self.run.created_at.isoformat(timespec="seconds"),
            "flags": self.flags,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """One worker; `other_database` where it serves another one than this."""

    info: WorkerInfo
    other_database: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """Who works on some runs.

    Attributes:
        workers: of the broker that is named, or of those that programs on this machine have started.
        queues: what waits in the queues of the runs; empty where no broker is named, or it is away.
        held: messages of all queues that workers hold; None as before.
        warnings: a sentence for each thing that keeps runs from going on.
        answers: whether the broker answers, if one is named.
    """

    workers: Sequence[WorkerStatus] = ()
    queues: Sequence[QueueBacklog] = ()
    held: int | None = None
    warnings: Sequence[str] = ()
    answers: bool = True


def one_status(store: Store, run: Run) -> RunStatus:
    """How far one run is.

    Raises:
        RunNotFound: it was removed.
        StoreUnavailable: the database does not answer.
    """
    flags = store.flags.counts([run.id]).get(run.id, {})
    return RunStatus(run=run, progress=store.queries.progress(run.id), rate=store.rates.of(run.id), flags=flags)


def statuses(store: Store, runs: Sequence[Run] | None = None) -> list[RunStatus]:
    """How far runs are; by default all, the newest first. However many there are, the database is asked as often.

    One that was removed meanwhile is left out.

    Raises:
        NoDatabase: there is none yet.
        StoreUnavailable: the database does not answer.
    """
    chosen = store.runs.all() if runs is None else runs
    ids = None if runs is None else [run.id for run in runs]
    progresses, rates, flags = store.queries.progresses(ids), store.rates.present(ids), store.flags.counts(ids)
    return [
        RunStatus(run=run, progress=progresses[run.id], rate=rates.get(run.id), flags=flags.get(run.id, {}))
        for run in chosen
        if run.id in progresses
    ]


def fleet_status(store: Store, broker_url: str | None, runs: Sequence[RunStatus]) -> FleetStatus:
    """Who works on these runs: as the named broker tells, or else what works on them on this machine.

    A broker that is away is waited for some seconds, and is no error.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    active = [one.run for one in runs if one.is_begun]
    fleet = fleet_state(broker_url, active if broker_url is None else [one.run for one in runs])
    ledger = store.ledger.id
    backlog = fleet.backlog
    return FleetStatus(
        workers=[
            WorkerStatus(info=worker, other_database=worker.ledger not in (None, ledger)) for worker in fleet.workers
        ],
        queues=backlog.queues if backlog else (),
        held=backlog.held if backlog else None,
        warnings=_warnings(fleet, active, ledger, named=broker_url is not None),
        answers=fleet.away is None,
    )


def _warnings(fleet: FleetState, active: list[Run], ledger: str, *, named: bool) -> list[str]:
    """A sentence for each thing that keeps active runs from going on."""
    if fleet.away is not None:
        return [f"{fleet.away}; what is shown is what the database knows"]
    if not named and not fleet.workers:
        begun = any(run.broker is not None for run in active)
        return [_STARTING] if fleet.beside else [_NOBODY] if begun else []
    # Imported here, as is all that loads the library of Redis.
    from persqa.broker.workers import is_of, unserved

    elsewhere = [run for run in active if named and run.broker not in (None, fleet.identity)]
    here = [run for run in active if run not in elsewhere]
    said = [f"{run.name}: {ELSEWHERE}" for run in elsewhere]
    said += filter(None, (unserved(model, fleet.workers, ledger) for model in _models(here)))
    ours = [worker for worker in fleet.workers if is_of(worker, ledger)]
    return said + [
        f"{worker.name}: {one.sentence} ({duration(seconds_since(one.since))})"
        for worker in ours
        for one in worker.hindrances
    ]


def _models(runs: list[Run]) -> Iterable[str | None]:
    return dict.fromkeys(run.options.model for run in runs)
