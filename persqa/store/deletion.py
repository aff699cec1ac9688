"""Deleting a run in steps, so that nobody waits for long, and what an interruption leaves can be deleted later."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.clock import now
from persqa.items import MAX_ITEMS
from persqa.results import Status
from persqa.runs import Run, RunId, RunState
from persqa.store.coming import earlier_records, endings, record_keys
from persqa.store.counters import SUBMITTED, count
from persqa.store.database import Database
from persqa.store.runs import gone
from persqa.store.schema import (
    deleted_runs,
    earlier_results,
    earlier_reviews,
    items,
    results,
    reviews,
    run_counters,
    runs,
    violations,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Items in one transaction, and in one look at their texts.
_AT_ONCE = 5000
_TEXTS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Numbers of rows; `earlier` results are those that a requeue has taken back, `reviews` those that hold."""

    items: int = 0
    results: int = 0
    earlier: int = 0
    violations: int = 0
    reviews: int = 0

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            items=self.items + other.items,
            results=self.results + other.results,
            earlier=self.earlier + other.earlier,
            violations=self.violations + other.violations,
            reviews=self.reviews + other.reviews,
        )


class Deletion:
    """Deletes runs, and says before what that means."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, run_id: RunId) -> Rows:
        """The rows that the run has; the time grows with it."""
        own_items = sa.and_(items.c.id >= run_id * MAX_ITEMS, items.c.id < (run_id + 1) * MAX_ITEMS)
        with self._database.reading() as connection:

            def number(table: sa.Table, which: sa.ColumnElement[bool]) -> int:
                return connection.execute(sa.select(sa.func.count()).select_from(table).where(which)).scalar_one()

            current, earlier = (number(table, table.c.run_id == run_id) for table in (results, earlier_results))
            return Rows(
                items=number(items, own_items),
                results=current,
                earlier=earlier,
                violations=number(violations, violations.c.run_id == run_id),
                reviews=number(reviews, reviews.c.run_id == run_id),
            )

    def texts_with(self, words: str, run_id: RunId, *, of_others: bool) -> Iterator[str]:
        """The records and image references that hold these words.

        Args:
            words: what to look for; no wildcards.
            run_id: the run.
            of_others: of all other runs' items instead of this run's.
        """
        low, high = run_id * MAX_ITEMS, (run_id + 1) * MAX_ITEMS
        ranges = [(-1, low), (high - 1, None)] if of_others else [(low - 1, high)]
        # Records can be large, and most do not hold them.
        record = sa.case((items.c.record.contains(words), items.c.record), else_="")
        query = sa.select(items.c.id, items.c.images, record.label("record"))
        query = query.where(sa.or_(items.c.images.contains(words), items.c.record.contains(words)))
        for after, below in ranges:
            part = query if below is None else query.where(items.c.id < below)
            while True:
                with self._database.reading() as connection:
                    page = part.where(items.c.id > after).order_by(items.c.id).limit(_TEXTS_AT_ONCE)
                    rows = connection.execute(page).all()
                for row in rows:
                    after = row.id
                    yield row.images
                    yield row.record
                if len(rows) < _TEXTS_AT_ONCE:
                    break

    def begin(self, run: Run) -> Run:
        """Cancel the run for good: from now on nobody enqueues, begins or adds any of its items. Safe to repeat.

        Raises:
            RunNotFound: it is gone already.
        """
        with self._database.writing() as connection:
            if not self._cancel(connection, run):
                raise gone(run)
        return replace(run, state=RunState.CANCELLED, deleting=True, published_to=0)

    def begin_unanswered(self, run: Run) -> bool:
        """Begin like `begin`, unless the run is answered by now; returns whether it has begun, or is gone already."""
        with self._database.writing() as connection:
            # Waits for results that are being committed; later ones find the run deleted.
            connection.execute(sa.select(runs.c.id).where(runs.c.id == run.id).with_for_update())
            if connection.execute(_answered(run.id)).scalar_one():
                return False
            self._cancel(connection, run)
            return True

    def steps(self, run_id: RunId) -> Iterator[Rows]:
        """Delete all that the run has, and then the run; gives the rows of each step."""
        while (step := self._step(run_id)) is not None:
            yield step
            self._database.give_way()
        # Once its items are gone, nothing of these comes any more.
        for key in (endings.c.number, record_keys.c.key, earlier_records.c.id):
            while self._delete_some(run_id, key):
                self._database.give_way()
        with self._database.writing() as connection:
            connection.execute(sa.delete(run_counters).where(run_counters.c.run_id == run_id))
            connection.execute(sa.delete(runs).where(runs.c.id == run_id))

    def _delete_some(self, run_id: RunId, key: sa.Column[Any]) -> bool:
        """Delete the first rows of the run by a key of their table; returns whether there may be more."""
        table = key.table
        first = sa.select(key).where(table.c.run_id == run_id).order_by(key).limit(_AT_ONCE)
        with self._database.writing() as connection:
            found = connection.execute(first).scalars().all()
            if found:
                connection.execute(sa.delete(table).where(table.c.run_id == run_id, key <= found[-1]))
        return len(found) == _AT_ONCE

    def is_answered(self, run_id: RunId) -> bool:
        """Whether a worker has ever generated something for the run, be it right or wrong."""
        with self._database.reading() as connection:
            return connection.execute(_answered(run_id)).scalar_one()

    def _cancel(self, connection: sa.Connection, run: Run) -> bool:
        """Cancel the run, if it is there, and let workers know that its messages, which may come for long, are void."""
        ended = {"state": RunState.CANCELLED, "deleting": True, "published_to": 0}
        if not connection.execute(sa.update(runs).where(runs.c.id == run.id).values(ended)).rowcount:
            return False
        letter = {"id": run.id, "key": run.key, "name": run.name, "deleted_at": now()}
        connection.execute(self._database.insert(deleted_runs).values(letter).on_conflict_do_nothing())
        return True

    def _step(self, run_id: RunId) -> Rows | None:
        low, high = run_id * MAX_ITEMS, (run_id + 1) * MAX_ITEMS
        chosen = sa.select(items.c.id).where(items.c.id >= low, items.c.id < high).order_by(items.c.id)
        with self._database.writing() as connection:
            # Locks the run's row first, as `Ledger.reopen` does, against deadlocks.
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(ended_to=runs.c.ended_to))
            # Locked, so that a worker's late result is seen below, or refused after it.
            found = connection.execute(chosen.limit(_AT_ONCE).with_for_update()).scalars().all()
            if not found:
                return None

            def delete(table: sa.Table) -> int:
                which = table.c["id" if table is items else "item_id"].between(found[0], found[-1])
                return connection.execute(sa.delete(table).where(which)).rowcount

            by_status = sa.select(results.c.status, sa.func.count()).group_by(results.c.status)
            ended = connection.execute(by_status.where(results.c.item_id.between(found[0], found[-1]))).all()
            delete(earlier_reviews)
            said, broken, earlier = delete(reviews), delete(violations), delete(earlier_results)
            taken = delete(results)
            delete(items)
            changes = Counter({(int(run_id), str(status)): -number for status, number in ended})
            changes[run_id, SUBMITTED] = -len(found)
            count(self._database, connection, changes)
        return Rows(items=len(found), results=taken, earlier=earlier, violations=broken, reviews=said)


def _answered(run_id: RunId) -> sa.Select[bool]:
    """Selects whether something was generated for the run; violations outlive the results that are taken back."""
    ended = (_generated(table, run_id) for table in (results, earlier_results))
    return sa.select(sa.or_(*ended, sa.exists().where(violations.c.run_id == run_id)))


def _generated(table: sa.Table, run_id: RunId) -> sa.ColumnElement[bool]:
    answered = sa.or_(table.c.generations > 0, table.c.status.in_([Status.OK, Status.NONCOMPLIANT]))
    return sa.exists().where(table.c.run_id == run_id, answered)
