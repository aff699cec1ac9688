"""Runs: their options, state and priority, and how far their items are enqueued."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.clock import now
from persqa.errors import RowRefused, RunConflict, RunNotFound, RunStopped
from persqa.items import MAX_ITEMS, ItemId
from persqa.records import DEFAULT_LIMITS, RecordLimits
from persqa.runs import Priority, Run, RunId, RunOptions, RunState
from persqa.store.counters import PENDING_ITEMS, SUBMITTED
from persqa.store.database import Database
from persqa.store.run_rows import refuse_conflict, run_of
from persqa.store.schema import earlier_results, earlier_reviews, items, results, reviews, run_counters, runs
from persqa.store.stopping import let_go_on
from persqa.words import listed, nearest, to_type

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How many runs a message names, and how many names a mistyped one is compared with.
_NAMED = 5
_COMPARED = 1000
#: Inputs that are remembered of one run, which may be submitted from several copies of its data.
_MOST_INPUTS = 20


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

        The one that is found keeps its own base and limits; one that is being deleted is given as it is.

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
            "key": secrets.token_hex(8),
        }
        with self._database.writing() as connection:
            connection.execute(self._database.insert(runs).values(row).on_conflict_do_nothing())
            run = run_of(connection.execute(sa.select(runs).where(runs.c.name == name)).one())
        if run.deleting:
            return run
        refuse_conflict(run, options=options, pool_digest=pool_digest, fingerprint=fingerprint)
        return run

    def forget(self, run: Run) -> None:
        """Remove a run of which nothing was enqueued yet and the ledger is not complete; any other stays."""
        unpublished = sa.update(runs).where(runs.c.id == run.id, runs.c.broker.is_(None))
        written = sa.select(run_counters.c["items"]).where(
            run_counters.c.run_id == run.id, run_counters.c.status == SUBMITTED
        )
        with self._database.writing() as connection:
            # Locks the run's row, so nobody completes or publishes it meanwhile.
            locked = connection.execute(unpublished.values(ended_to=runs.c.ended_to)).rowcount > 0
            if not locked or (connection.execute(written).scalar() or 0) >= run.items:
                return
            delete_rows(connection, run.id)

    def remember_inputs(self, run: Run, given: Sequence[str]) -> None:
        """Note files, folders or patterns, absolute, that the run was made from."""
        of_run = sa.select(runs.c.input).where(runs.c.id == run.id)
        with self._database.reading() as connection:
            known: list[str] = json.loads(connection.execute(of_run).scalar() or "[]")
        if new := [one for one in given if one not in known]:
            self._update(run, input=json.dumps([*known, *new][-_MOST_INPUTS:]))

    def inputs(self) -> dict[str, list[str]]:
        """What each run was made from, by its name, as far as that is files; other runs are left out."""
        query = sa.select(runs.c.name, runs.c.input).where(runs.c.input.is_not(None)).order_by(runs.c.id)
        with self._database.reading() as connection:
            return {row.name: json.loads(row.input) for row in connection.execute(query)}

    def get(self, name: str) -> Run | None:
        """The run of this name, if there is one."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.name == name)).one_or_none()
        return None if row is None else run_of(row)

    def find(self, name: str) -> Run:
        """The run of this name.

        Raises:
            RunNotFound: there is none; the message lists some existing runs.
        """
        if (run := self.get(name)) is not None:
            return run
        known = [run.name for run in self.all()]
        near = nearest(name, known[:_COMPARED])
        hint = "" if near is None else f"did you mean {near}? "
        newest = f"the newest {'is' if len(known) == 1 else 'are'} {listed(known[:_NAMED], 'and')}" if known else ""
        raise RunNotFound(f"no run is named {name!r}; {hint}{newest or 'there is none yet'}")

    def all(self) -> list[Run]:
        """All runs, the newest first."""
        with self._database.reading() as connection:
            return [run_of(row) for row in connection.execute(sa.select(runs).order_by(runs.c.id.desc()))]

    def under_way(self, most: int) -> list[Run]:
        """The runs that have pending items and are not cancelled, the newest first, and at most so many."""
        has_pending = sa.select(run_counters.c.run_id).group_by(run_counters.c.run_id).having(PENDING_ITEMS > 0)
        query = sa.select(runs).where(runs.c.state != RunState.CANCELLED, runs.c.id.in_(has_pending))
        with self._database.reading() as connection:
            return [run_of(row) for row in connection.execute(query.order_by(runs.c.id.desc()).limit(most))]

    def page(
        self, most: int, *, before: RunId | None = None, named: str = "", besides: Sequence[Run] = ()
    ) -> list[Run]:
        """A page of runs, the newest first.

        Args:
            most: how many at most.
            before: only runs that are older than this one.
            named: only runs with this in their name, in whatever case.
            besides: runs that are left out, as they are shown already.
        """
        query = sa.select(runs).where(runs.c.id.not_in([run.id for run in besides]))
        if before is not None:
            query = query.where(runs.c.id < before)
        if named:
            query = query.where(runs.c.name.icontains(named, autoescape=True))
        with self._database.reading() as connection:
            return [run_of(row) for row in connection.execute(query.order_by(runs.c.id.desc()).limit(most))]

    def unfinished(self, broker: str) -> list[Run]:
        """The active runs that have pending items and were enqueued at this broker."""
        active = sa.select(runs).join(run_counters).where(runs.c.state == RunState.ACTIVE, runs.c.broker == broker)
        query = active.group_by(*runs.c).having(PENDING_ITEMS > 0).order_by(runs.c.id)
        with self._database.reading() as connection:
            return [run_of(row) for row in connection.execute(query)]

    def reread(self, run: Run) -> Run:
        """The run as it is now.

        Raises:
            RunNotFound: it was removed.
        """
        with self._database.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run.id)).one_or_none()
        if row is None:
            raise gone(run)
        return run_of(row)

    def rename(self, run: Run, name: str) -> Run:
        """Give the run another name.

        Raises:
            RunConflict: another run has it.
            RunNotFound: the run is gone.
        """
        try:
            with self._database.writing() as connection:
                found = connection.execute(sa.update(runs).where(runs.c.id == run.id).values(name=name)).rowcount
        except RowRefused as error:
            raise RunConflict(f"another run is named {name!r}: choose another name, or delete that one") from error
        if not found:
            raise gone(run)
        return replace(run, name=name)

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
            if not connection.execute(sa.update(runs).where(runs.c.id == run.id).values(values)).rowcount:
                raise gone(run)

    def set_state(self, run: Run, state: RunState) -> Run:
        """Pause, cancel or resume a run; safe to repeat.

        A run that stops or starts has no items in a queue, so its mark goes back to before the first item. It stays
        there until the run is active, as nobody enqueues items before.

        Raises:
            RunStopped: a cancelled run is to be paused, or one that is being deleted is to be resumed.
            RunNotFound: the run is gone.
        """
        update = sa.update(runs).where(runs.c.id == run.id, runs.c.state != state, runs.c.deleting.is_(False))
        if state is RunState.PAUSED:
            update = update.where(runs.c.state != RunState.CANCELLED)
        with self._database.writing() as connection:
            if connection.execute(update.values(state=state, published_to=0)).rowcount and state is RunState.ACTIVE:
                let_go_on(connection, run.id)
            row = connection.execute(sa.select(runs).where(runs.c.id == run.id)).one_or_none()
        if row is None:
            raise gone(run)
        changed = run_of(row)
        if changed.deleting and state is not RunState.CANCELLED:
            raise RunStopped(f"the run {run.name!r} is being deleted, and cannot be taken up again")
        if changed.state is not state:
            raise RunStopped(
                f"the run {run.name!r} is cancelled already; "
                f"to take it up again: {to_type(f'persqa resume {run.name}')}"
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

    def begin_publishing(self, run: Run, broker: str) -> None:
        """Note where the run's items are enqueued from now on; that broker's reconcilers look after them."""
        if run.broker != broker:
            self._update(run, broker=broker)


def delete_rows(connection: sa.Connection, run_id: RunId) -> None:
    """Delete the rows of a run without violations."""
    low, high = run_id * MAX_ITEMS, (run_id + 1) * MAX_ITEMS
    for table in (earlier_reviews, reviews, earlier_results, results):
        connection.execute(sa.delete(table).where(table.c.item_id >= low, table.c.item_id < high))
    connection.execute(sa.delete(items).where(items.c.id >= low, items.c.id < high))
    connection.execute(sa.delete(run_counters).where(run_counters.c.run_id == run_id))
    connection.execute(sa.delete(runs).where(runs.c.id == run_id))


def gone(run: Run) -> RunNotFound:
    """The error about a run that was there."""
    why = "somebody deleted it, or another submit has replaced it"
    return RunNotFound(f"the run {run.name!r} is gone: {why}; to have it again, submit it")
