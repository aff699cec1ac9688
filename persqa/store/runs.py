"""Runs: their options, state and priority, and how far their items are enqueued."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from persqa.clock import now
from persqa.errors import RunConflict, RunNotFound, RunStopped
from persqa.items import MAX_ITEMS, ItemId
from persqa.records import DEFAULT_LIMITS, RecordLimits
from persqa.runs import Priority, Run, RunId, RunOptions, RunState
from persqa.store.counters import PENDING_ITEMS, SUBMITTED
from persqa.store.database import Database
from persqa.store.schema import items, results, run_counters, runs


class Runs:
    """The table of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(  # noqa: PLR0913 - all that a run is
        self,
        name: str,
        *,
        options: RunOptions,
        pool_digest: str,
        fingerprint: str,
        base: str,
        item_count: int,
        limits: RecordLimits = DEFAULT_LIMITS,
    ) -> Run:
        """Create the run, or find the one of this name with the same data and options.

        The one that is found keeps its own base and limits.

        Raises:
            RunConflict: the name is taken by other data or other options.
        """
        row = {
            "name": name,
            "options": options.model_dump_json(),
            "pool_digest": pool_digest,
            "fingerprint": fingerprint,
            "base": base,
            "items": item_count,
            "limits": json.dumps(asdict(limits)),
            "model": options.model,
            "created_at": now(),
        }
        with self._database.writing() as connection:
            connection.execute(self._database.insert(runs).values(row).on_conflict_do_nothing())
            run = _run(connection.execute(sa.select(runs).where(runs.c.name == name)).one())
        _refuse_conflict(run, options=options, pool_digest=pool_digest, fingerprint=fingerprint)
        return run

    def forget(self, run: Run) -> None:
        """Remove a run of which nothing was enqueued yet and the ledger is not complete; any other stays."""
        unpublished = sa.update(runs).where(runs.c.id == run.id, runs.c.published_to == 0)
        written = sa.select(run_counters.c["items"]).where(
            run_counters.c.run_id == run.id, run_counters.c.status == SUBMITTED
        )
        low, high = run.id * MAX_ITEMS, (run.id + 1) * MAX_ITEMS
        with self._database.writing() as connection:
            # Locks the run's row, so nobody completes or publishes it meanwhile.
            locked = connection.execute(unpublished.values(ended_to=runs.c.ended_to)).rowcount > 0
            if not locked or (connection.execute(written).scalar() or 0) >= run.items:
                return
            connection.execute(sa.delete(results).where(results.c.item_id >= low, results.c.item_id < high))
            connection.execute(sa.delete(items).where(items.c.id >= low, items.c.id < high))
            connection.execute(sa.delete(run_counters).where(run_counters.c.run_id == run.id))
            connection.execute(sa.delete(runs).where(runs.c.id == run.id))

    def get(self, name: str) -> Run | None:
        """The run of this name, if there is one."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.name == name)).one_or_none()
        return None if row is None else _run(row)

    def find(self, name: str) -> Run:
        """The run of this name.

        Raises:
            RunNotFound: there is none; the message lists some existing runs.
        """
        if (run := self.get(name)) is not None:
            return run
        known = ", ".join(run.name for run in self.all()[:5])
        raise RunNotFound(f"no run is named {name!r}; " + (f"there are: {known}" if known else "there is none yet"))

    def all(self) -> list[Run]:
        """All runs, the newest first."""
        with self._database.reading() as connection:
            return [_run(row) for row in connection.execute(sa.select(runs).order_by(runs.c.id.desc()))]

    def unfinished(self) -> list[Run]:
        """The active runs that have pending items."""
        active = sa.select(runs).join(run_counters).where(runs.c.state == RunState.ACTIVE)
        query = active.group_by(*runs.c).having(PENDING_ITEMS > 0).order_by(runs.c.id)
        with self._database.reading() as connection:
            return [_run(row) for row in connection.execute(query)]

    def reread(self, run: Run) -> Run:
        """The run as it is now.

        Raises:
            RunNotFound: it was removed.
        """
        with self._database.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run.id)).one_or_none()
        if row is None:
            raise RunNotFound(f"the run {run.name!r} was removed, as its input had changed: submit it again")
        return _run(row)

    def set_recheck(self, run: Run, recheck: bool) -> Run:
        """Decide whether items enqueued from now on try known bad images again."""
        if run.recheck == recheck:
            return run
        self._update(run, recheck=recheck)
        return replace(run, recheck=recheck)

    def set_priority(self, run: Run, priority: Priority) -> Run:
        """Set the priority of items that are enqueued from now on."""
        self._update(run, priority=priority)
        return replace(run, priority=priority)

    def _update(self, run: Run, **values: object) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run.id).values(values))

    def set_state(self, run: Run, state: RunState) -> Run:
        """Pause, cancel or resume a run; safe to repeat.

        A run that stops or starts has no items in a queue, so its mark goes back to before the first item. It stays
        there until the run is active, as nobody enqueues items before.

        Raises:
            RunStopped: a cancelled run is to be paused.
        """
        update = sa.update(runs).where(runs.c.id == run.id, runs.c.state != state)
        if state is RunState.PAUSED:
            update = update.where(runs.c.state != RunState.CANCELLED)
        with self._database.writing() as connection:
            connection.execute(update.values(state=state, published_to=_nothing(run.id)))
            changed = _run(connection.execute(sa.select(runs).where(runs.c.id == run.id)).one())
        if changed.state is not state:
            raise RunStopped(
                f"the run {run.name!r} is cancelled already; to take it up again: persqa resume {run.name}"
            )
        return changed

    def mark_published(self, run_id: RunId, last: ItemId) -> None:
        """Note that items up to this one are being enqueued; call it before they are.

        From then on, a pending item up to there that is in no queue counts as lost. A run that is paused or cancelled
        by now keeps its mark, as workers drop its messages.
        """
        further = sa.update(runs).where(runs.c.id == run_id, runs.c.published_to < last)
        with self._database.writing() as connection:
            connection.execute(further.where(runs.c.state == RunState.ACTIVE).values(published_to=last))

    def begin_publishing(self, run_id: RunId) -> None:
        """Note that somebody enqueues the run's pending items, so that nobody needs to `adopt` it."""
        self._mark_resumed(run_id, ItemId(run_id * MAX_ITEMS))

    def awaits_publishing(self, run_id: RunId) -> bool:
        """Whether the run was resumed and nobody has begun to enqueue its items."""
        return self.published_to(run_id) == _nothing(run_id)

    def adopt(self, run_id: RunId) -> bool:
        """Count all items of a resumed run as enqueued if nobody enqueues them; returns whether that was so.

        Those that are in no queue then count as lost, and the reconciler enqueues them.
        """
        with self._database.reading() as connection:
            last = connection.execute(sa.select(sa.func.max(items.c.id)).where(items.c.id < (run_id + 1) * MAX_ITEMS))
            found = last.scalar_one()
        return self._mark_resumed(run_id, ItemId(found))

    def _mark_resumed(self, run_id: RunId, last: ItemId) -> bool:
        resumed = sa.update(runs).where(runs.c.id == run_id, runs.c.published_to == _nothing(run_id))
        with self._database.writing() as connection:
            marked = connection.execute(resumed.where(runs.c.state == RunState.ACTIVE).values(published_to=last))
        return marked.rowcount > 0

    def published_to(self, run_id: RunId) -> ItemId:
        """The last item that was enqueued at least once; 0 if none was, or the run was removed."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(runs.c.published_to).where(runs.c.id == run_id)).scalar()
        return ItemId(found or 0)


def _nothing(run_id: RunId) -> int:
    """The mark of a run without enqueued items since it was paused or cancelled; a new run has 0."""
    return run_id * MAX_ITEMS - 1


def _refuse_conflict(run: Run, *, options: RunOptions, pool_digest: str, fingerprint: str) -> None:
    other = [name for name in RunOptions.model_fields if getattr(run.options, name) != getattr(options, name)]
    if run.pool_digest != pool_digest and "pool" not in other:
        other.append("the questions of the pool")
    if run.fingerprint != fingerprint:
        other.insert(0, "the data")
    if other:
        message = f"the run {run.name!r} exists and differs in: {', '.join(other)}"
        raise RunConflict(f"{message}; choose another name with --run, or submit what it was created with")


def _run(row: sa.Row[Any]) -> Run:
    return Run(
        id=RunId(row.id),
        name=row.name,
        options=RunOptions.model_validate_json(row.options),
        pool_digest=row.pool_digest,
        fingerprint=row.fingerprint,
        base=row.base,
        items=row.items,
        created_at=row.created_at,
        limits=RecordLimits(**json.loads(row.limits)),
        recheck=row.recheck,
        priority=Priority(row.priority),
        state=RunState(row.state),
    )
