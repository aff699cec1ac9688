"""Lookout: what a wait is waiting for: a worker that starts or loads its model, or something that hinders it."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from persqa.clock import now
from persqa.errors import BrokerUnavailable, StoreUnavailable
from persqa.phases import Hindrance, Phase, in_words, longest, usual
from persqa.runs import RunState
from persqa.words import to_type
from producer.wait_bar import News

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from persqa.broker.workers import WorkerInfo, Workers
    from persqa.progress import Progress
    from persqa.runs import Run
    from producer.connections import Connections

#: Shortest time between two questions to Redis and about the rate.
_ASK_SECONDS = 1.0
#: How long a worker that was started here may be in no list: as long as it may take to end.
_SILENT_SECONDS = 15.0


class Lookout:
    """Looks for one run, until it is closed."""

    def __init__(self, connections: Connections, run: Run) -> None:
        self._connections = connections
        self._run = run
        self._workers: Workers | None = None
        self._asked_at = -math.inf
        self._told = News()
        #: How many items had ended at the first look.
        self._ended: int | None = None
        self._away: Hindrance | None = None
        #: When a worker last told of itself, on our clock.
        self._heard_at: float | None = None
        #: Why nobody answers this run.
        self._unserved: str | None = None

    def close(self) -> None:
        """Close the connection to Redis."""
        if self._workers is not None:
            self._workers.close()

    def look(self, progress: Progress | None) -> News:
        """What goes on; asked anew once a second at most."""
        if self._ended is None and progress is not None:
            self._ended = progress.submitted - progress.pending
        if time.monotonic() - self._asked_at >= _ASK_SECONDS:
            self._told = self._ask(progress)
            self._asked_at = time.monotonic()
        return self._told

    def _ask(self, progress: Progress | None) -> News:
        if progress is not None and progress.state is RunState.PAUSED:
            return News(doing=f"paused; to go on: {to_type(f'persqa resume {self._run.name}')}")
        found = self._serving()
        news = self._about(found, progress)
        rate = None
        if progress is not None:
            with suppress(StoreUnavailable):
                rate = self._connections.store.rates.of(self._run.id)
        return replace(news, rate=rate, hindrances=_hindrances(found or ()) if self._away is None else (self._away,))

    def _about(self, workers: Sequence[WorkerInfo] | None, progress: Progress | None) -> News:
        """What has to end before answers come."""
        fleet = self._connections.fleet
        log, started = (None, None) if fleet is None else (str(fleet.log), fleet.started)
        if workers:
            self._heard_at = time.monotonic()
        if workers is None or any(worker.phase is Phase.READY for worker in workers):
            waits = workers and progress is not None and progress.submitted - progress.pending == self._ended
            return News(doing="waiting for the first answer" if waits else "")
        if workers:
            nearest = max(workers, key=lambda worker: _ORDER.index(worker.phase))
            since = started if started and nearest.phase is Phase.STARTING else nearest.since
            return _news_of(nearest.phase, since, nearest.model, log)
        if fleet is None or started is None:
            return News(doing=self._unserved or "")
        if self._heard_at is not None:
            # One that ends says so at once by its exit code, with the reason.
            silent = time.monotonic() - self._heard_at > _SILENT_SECONDS
            return News(doing="nothing is heard of the worker", log=log) if silent else News()
        return _news_of(Phase.STARTING, started, fleet.settings.model or "", log)

    def _serving(self) -> list[WorkerInfo] | None:
        """The workers that answer items of this run, or will; None where nobody can tell."""
        url = self._connections.broker_url
        if url is None:
            return None
        # Only who waits for a broker's workers needs it.
        from persqa.broker.workers import Workers, is_of, unserved

        self._workers = self._workers or Workers(url)
        try:
            workers, ledger = self._workers.all(), self._connections.store.ledger.id
        except BrokerUnavailable as error:
            since = now() if self._away is None else self._away.since
            self._away = Hindrance(sentence=f"{error}; nothing is lost, trying again", since=since)
            return None
        except StoreUnavailable:
            return None
        self._away = None
        model = self._run.options.model
        self._unserved = unserved(model, workers, ledger)
        return [worker for worker in workers if is_of(worker, ledger) and model in (None, worker.model)]


def _news_of(phase: Phase, since: datetime, model: str, log: str | None) -> News:
    return News(doing=in_words(phase), since=since, usual=usual(phase, model), longest=longest(phase, model), log=log)


#: From the farthest from an answer to the nearest.
_ORDER = (Phase.STOPPING, Phase.STARTING, Phase.IMPORTING, Phase.LOADING, Phase.WEIGHTS, Phase.PROFILING, Phase.READY)


def _hindrances(workers: Sequence[WorkerInfo]) -> tuple[Hindrance, ...]:
    """What hinders some of these workers, with their number where there are several."""
    found: dict[str, list[Hindrance]] = {}
    for worker in workers:
        for one in worker.hindrances:
            found.setdefault(one.sentence, []).append(one)
    return tuple(
        Hindrance(
            sentence=f"{len(same)} of {len(workers)} workers: {sentence}" if len(workers) > 1 else sentence,
            since=min(one.since for one in same),
        )
        for sentence, same in found.items()
    )
