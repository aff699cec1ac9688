"""Rates: how fast the items of runs end; the one place that says so."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.clock import now
from persqa.runs import RunId, RunState
from persqa.store.counters import PENDING_ITEMS
from persqa.store.database import Database
from persqa.store.schema import results, run_counters, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The time over which the present rate of a run is taken.
_RECENT = timedelta(minutes=1)
#: Nothing may come for so long; and, where items take longer, for so many times as long as one takes.
_SILENT = timedelta(seconds=10)
_TIMES = 2
#: Runs of which workers begin items.
_RUNNING = sa.and_(
    runs.c.state == RunState.ACTIVE,
    runs.c.id.in_(sa.select(run_counters.c.run_id).group_by(run_counters.c.run_id).having(PENDING_ITEMS > 0)),
)


class Rates:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, run_id: RunId, *, since: datetime | None = None) -> float | None:
        """The rate of a run: items that workers ended, a second, over the time in which they came.

        That time begins when the first of them was begun, and lasts at least a second, so that a handful of items that
        one batch brings does not look like thousands a second. Loading a model before the first is no part of it.

        Args:
            run_id: the run.
            since: count from here to the last item. By default the last minute counts, up to now, and a run has no
                rate then that is paused, cancelled or done, or of which nothing has come for longer than items take.

        Returns:
            Items per second; None where nothing ended in that time.
        """
        which = runs.c.id == run_id
        found = self._present(which) if since is None else self._measured(since, None, which)
        return found.get(run_id)

    def present(self, run_ids: Sequence[RunId] | None = None) -> dict[RunId, float]:
        """The present rates of these runs, or of all, that have one, in one query; `of` says what a rate is."""
        return self._present(sa.true() if run_ids is None else runs.c.id.in_(run_ids))

    def _present(self, which: sa.ColumnElement[bool]) -> dict[RunId, float]:
        until = now()
        return self._measured(until - _RECENT, until, sa.and_(which, _RUNNING))

    def _measured(self, since: datetime, until: datetime | None, which: sa.ColumnElement[bool]) -> dict[RunId, float]:
        """The rates of the runs that have one, up to a moment or to their last item."""
        recent = sa.and_(results.c.run_id == runs.c.id, results.c.finished_at > since, results.c.worker.is_not(None))
        took_first = sa.func.coalesce(results.c.image_seconds, 0.0) + sa.func.coalesce(results.c.engine_seconds, 0.0)
        # A look into the index for each run; grouping the results would read those of all time.
        number = sa.select(sa.func.count()).select_from(results).where(recent)
        first = sa.select(sa.func.min(results.c.finished_at)).where(recent)
        last = sa.select(sa.func.max(results.c.finished_at)).where(recent)
        took = sa.select(took_first).where(recent).order_by(results.c.finished_at).limit(1)
        query = sa.select(
            runs.c.id,
            number.correlate(runs).scalar_subquery(),
            first.correlate(runs).scalar_subquery(),
            last.correlate(runs).scalar_subquery(),
            took.correlate(runs).scalar_subquery(),
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.where(which)).all()
        found: dict[RunId, float] = {}
        for run_id, count, start, end, seconds in rows:
            if count and (until is None or until - end <= _patience((end - start) / count, seconds)):
                begun = max(start - timedelta(seconds=seconds), since)
                found[run_id] = count / max(((until or end) - begun).total_seconds(), 1.0)
        return found


def _patience(between: timedelta, took: float) -> timedelta:
    """How long nothing may come before there is no rate: nothing does between two items, or while one is answered."""
    return max(_SILENT, _TIMES * max(between, timedelta(seconds=took)))
