"""The ledger: the items of all runs; it is complete before anything is enqueued, so Redis can lose nothing."""

from __future__ import annotations

import json
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.errors import RunConflict
from persqa.items import MAX_ITEMS, Item, ItemId
from persqa.results import Outcome, Result, Status
from persqa.runs import RunId
from persqa.store.counters import SUBMITTED, count
from persqa.store.database import Database
from persqa.store.results import insert_outcomes
from persqa.store.schema import has_no_result, items, items_and_results, ledger, results, runs
from persqa.store.text import storable
from persqa.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Ledger:
    """The items of each run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def id(self) -> str:
        """The identity of this database, by which messages of several are told apart: 16 hexadecimal digits."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(ledger.c.id)).scalar_one()

    def add(self, batch: Sequence[Item], invalid: Sequence[Result]) -> int:
        """Add new items of one run, with the results of the invalid ones; returns how many items were new.

        Raises:
            RunConflict: the run is gone: another submit found that its input had changed, or gave its name away.
        """
        if not batch:
            return 0
        run_id, first = batch[0].run_id, min(item.id for item in batch)
        unended = sa.case((runs.c.ended_to >= first, first - 1), else_=runs.c.ended_to)
        insert = self._database.insert(items).on_conflict_do_nothing().returning(items.c.id, items.c.run_id)
        with self._database.writing() as connection:
            # Locks the run's row first, as `reopen` does; and whoever looks for pending items looks here again.
            kept = connection.execute(sa.update(runs).where(runs.c.id == run_id).values(ended_to=unended))
            if not kept.rowcount:
                raise RunConflict("another submit has removed or replaced the run meanwhile: submit it again")
            new = connection.execute(insert, [_item_row(item) for item in batch]).all()
            new_ids = {row.id for row in new}
            outcomes = [Outcome(result) for result in invalid if result.item_id in new_ids]
            insert_outcomes(self._database, connection, outcomes)
            count(self._database, connection, Counter((row.run_id, SUBMITTED) for row in new))
        return len(new)

    def pending(self, run_id: RunId, *, chunk: int = 1000) -> Iterator[list[Item]]:
        """The pending items in the input's order, in chunks; without their records, which can be large."""
        query = _pending(run_id, *_SENT).limit(chunk)
        after = self._tidy(run_id)
        while True:
            with self._database.reading() as connection:
                found = [_item(row) for row in connection.execute(query, {"after": after})]
            if not found:
                return
            yield found
            after = found[-1].id

    def chosen(self, item_ids: Sequence[ItemId]) -> list[Item]:
        """Some items of one run in the input's order, without their records."""
        query = sa.select(*_SENT).where(items.c.id.in_(item_ids)).order_by(items.c.id)
        with self._database.reading() as connection:
            return [_item(row) for row in connection.execute(query)]

    def pending_ids(self, run_id: RunId, *, tidy: bool = False, chunk: int = 10_000) -> Iterator[ItemId]:
        """The ids of the pending items, in order.

        Args:
            run_id: the run.
            tidy: whether to note how far the run has ended, where that saves time; needs the right to write.
            chunk: how many are read at once.
        """
        query = _pending(run_id, items.c.id).limit(chunk)
        with self._database.reading() as connection:
            known = connection.execute(sa.select(runs.c.ended_to).where(runs.c.id == run_id)).scalar()
        after = max(known or 0, run_id * MAX_ITEMS - 1)
        while True:
            with self._database.reading() as connection:
                found = connection.execute(query, {"after": after}).scalars().all()
            if tidy and found and found[0] - after > chunk:
                self._tidy(run_id)
            tidy = False
            yield from map(ItemId, found)
            if len(found) < chunk:
                return
            after = found[-1]

    def _tidy(self, run_id: RunId) -> ItemId:
        """Note how far the run has ended; returns the last item up to which all have results."""
        with self._database.writing() as connection:
            # Locks the run's row first, as `reopen` does: the second transaction sees what the first has done.
            touch = sa.update(runs).where(runs.c.id == run_id).values(ended_to=runs.c.ended_to)
            # A run that was never enqueued may have been removed.
            known = connection.execute(touch.returning(runs.c.ended_to)).scalar()
            after = max(known or 0, run_id * MAX_ITEMS - 1)
            first = connection.execute(_pending(run_id, items.c.id).limit(1), {"after": after}).scalar()
            if first is None:
                return ItemId(after)
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(ended_to=first - 1))
            return ItemId(first - 1)

    def recovered(self, item_ids: Sequence[ItemId], *, times: int) -> set[ItemId]:
        """The items that were lost and enqueued again at least so many times."""
        query = sa.select(items.c.id).where(items.c.id.in_(item_ids), items.c.recoveries >= times)
        with self._database.reading() as connection:
            return {ItemId(item_id) for item_id in connection.execute(query).scalars()}

    def count_recoveries(self, item_ids: Sequence[ItemId]) -> None:
        """Note that these items were lost and enqueued again."""
        update = sa.update(items).where(items.c.id.in_(item_ids)).values(recoveries=items.c.recoveries + 1)
        run_ids = {item_id // MAX_ITEMS for item_id in item_ids}
        with self._database.writing() as connection:
            # Locks the run's row first, as `reopen` does, against deadlocks.
            connection.execute(sa.update(runs).where(runs.c.id.in_(run_ids)).values(ended_to=runs.c.ended_to))
            connection.execute(update)

    def reopen(self, run_id: RunId, status: Status) -> int:
        """Delete the results of one status, so that their items are pending again; returns how many."""
        chosen = sa.select(results.c.item_id).where(results.c.run_id == run_id, results.c.status == status)
        # An item without a question comes from an invalid record: asking again cannot end differently.
        askable = chosen.join(items, items.c.id == results.c.item_id).where(items.c.question != "")
        with self._database.writing() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(ended_to=0))
            anew = {"requeues": items.c.requeues + 1, "recoveries": 0}
            connection.execute(sa.update(items).where(items.c.id.in_(askable)).values(anew))
            taken = connection.execute(sa.delete(results).where(results.c.item_id.in_(askable))).rowcount
            count(self._database, connection, Counter({(run_id, status): -taken}))
        return taken


#: The columns that a message is made of.
_SENT = tuple(column for column in items.c if column.name != "record")


def _pending(run_id: RunId, *columns: sa.FromClause | sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Selects the run's pending items behind the item `after`, in order."""
    return (
        sa.select(*columns)
        .select_from(items_and_results)
        .where(items.c.id > sa.bindparam("after"), items.c.id < (run_id + 1) * MAX_ITEMS, has_no_result)
        .order_by(items.c.id)
    )


def _item_row(item: Item) -> dict[str, object]:
    return {
        "id": item.id,
        "run_id": item.run_id,
        "position": item.position,
        "slot": item.slot,
        "record": item.record,
        "images": json.dumps([storable(image) for image in item.images]),
        "tag": item.tag,
        "topic": storable(item.topic),
        "question": storable(item.question),
        "requeues": item.requeues,
    }


def _item(row: sa.Row[Any]) -> Item:
    return Item(
        id=ItemId(row.id),
        run_id=RunId(row.run_id),
        position=row.position,
        slot=row.slot,
        record="",
        images=tuple(json.loads(row.images)),
        tag=Tag(row.tag),
        topic=row.topic,
        question=row.question,
        requeues=row.requeues,
    )
