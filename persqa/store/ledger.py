"""The ledger: the items of all runs; it is complete before anything is enqueued, so Redis can lose nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.errors import RunConflict
from persqa.items import MAX_ITEMS, Item, ItemId
from persqa.pairs import Choice, Requeued
from persqa.results import Outcome, Result
from persqa.runs import RunId
from persqa.store.counters import SUBMITTED, count
from persqa.store.database import Database
from persqa.store.item_rows import SENT, STORED, insert_items, items_of, row_of_item
from persqa.store.results import insert_outcomes
from persqa.store.reuse import Reuse
from persqa.store.schema import asks, has_no_result, items, items_and_results, ledger, results, runs
from persqa.store.taking_back import take_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from persqa.runs import Run


class Ledger:
    """The items of each run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def id(self) -> str:
        """The identity of this database, by which messages of several are told apart: 16 hexadecimal digits."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(ledger.c.id)).scalar_one()

    def add(self, batch: Sequence[Item], invalid: Sequence[Result], *, reuse: Reuse | None = None) -> int:
        """Add new items of one run, with the results of the invalid ones; returns how many items were new.

        With `reuse`, new items get the answers that another run has of them.

        Raises:
            RunConflict: the run is gone or going: another submit of it found that its input had changed, or somebody
                deletes it.
        """
        if not batch:
            return 0
        ids = [item.id for item in batch]
        run_id, first = batch[0].run_id, min(ids)
        unended = sa.case((runs.c.ended_to >= first, first - 1), else_=runs.c.ended_to)
        among = sa.select(items.c.id).where(items.c.id.between(first, max(ids)))
        asked = (dict[str, object](zip(STORED, row_of_item(item), strict=True)) for item in batch)
        taken: Mapping[ItemId, ItemId] = {} if reuse is None else reuse.take(asked)
        with self._database.writing() as connection:
            # Locks the run's row first, as `reopen` does; and whoever looks for pending items looks here again.
            kept = sa.update(runs).where(runs.c.id == run_id, runs.c.deleting.is_(False)).values(ended_to=unended)
            if not connection.execute(kept).rowcount:
                why = "somebody deleted it, or its input had changed while several programs submitted it"
                raise RunConflict(f"the run is gone: {why}; submit it again")
            # Who has that lock is alone with the run, so what is not there now is new.
            known = set(connection.execute(among).scalars())
            rows = [row_of_item(item) for item in batch if item.id not in known]
            insert_items(self._database, connection, rows)
            outcomes = [Outcome(one) for one in invalid if one.item_id not in known]
            if reuse is not None:
                outcomes += reuse.outcomes(connection, {item: taken[item] for item in taken if item not in known})
            insert_outcomes(self._database, connection, outcomes)
            count(self._database, connection, Counter({(int(run_id), SUBMITTED): len(rows)}))
        return len(rows)

    def reuse(self, source: Run) -> Reuse:
        """The answers of a run, for `add`."""
        return Reuse(self._database, source)

    def pending(self, run_id: RunId, *, chunk: int = 1000) -> Iterator[list[Item]]:
        """The pending items in the input's order, in chunks; without their records, which can be large."""
        query = _pending(run_id, *SENT).limit(chunk)
        after = self._tidy(run_id)
        while True:
            with self._database.reading() as connection:
                found = items_of(connection.execute(query, {"after": after}).all())
            if not found:
                return
            yield found
            after = found[-1].id

    def images(self, run_id: RunId, item_id: ItemId) -> tuple[str, ...]:
        """The image references of one item; none where the run has no such item."""
        query = sa.select(items.c.images).where(items.c.id == item_id, items.c.run_id == run_id)
        with self._database.reading() as connection:
            found = connection.execute(query).scalar()
        return () if found is None else tuple(json.loads(found))

    def chosen(self, item_ids: Sequence[ItemId]) -> list[Item]:
        """Some items of one run in the input's order, without their records."""
        query = sa.select(*SENT).where(items.c.id.in_(item_ids)).order_by(items.c.id)
        with self._database.reading() as connection:
            return items_of(connection.execute(query).all())

    def last(self, run_id: RunId) -> int:
        """The id of the run's last item; below all of its ids where it has none yet."""
        before = run_id * MAX_ITEMS - 1
        query = sa.select(sa.func.max(items.c.id)).where(items.c.id > before, items.c.id < (run_id + 1) * MAX_ITEMS)
        with self._database.reading() as connection:
            return connection.execute(query).scalar() or before

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
        after: int = max(known or 0, run_id * MAX_ITEMS - 1)
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
            after: int = max(known or 0, run_id * MAX_ITEMS - 1)
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

    def unknown(self, run_id: RunId, item_ids: Iterable[ItemId]) -> list[ItemId]:
        """The numbers among these that no item of the run has, in order."""
        wanted = sorted(set(item_ids))
        # Others may be too large for the database.
        possible = [item_id for item_id in wanted if item_id // MAX_ITEMS == run_id]
        known: set[int] = set()
        with self._database.reading() as connection:
            for some in _slices(possible):
                known.update(connection.execute(sa.select(items.c.id).where(items.c.id.in_(some))).scalars())
        return [item_id for item_id in wanted if item_id not in known]

    def reopen(self, run_id: RunId, choice: Choice, *, on_step: Callable[[], None] = lambda: None) -> Requeued:
        """Take back the results of the chosen items, so that they are pending again; they are kept as earlier results.

        It goes on in steps, each a transaction, so that nobody waits for long; `on_step` is called before each. What an
        interruption leaves still has its results. The run's mark goes back to before the first of them, as none of
        them is in a queue and yet none is lost.
        """
        wrong, pending, taken = 0, 0, 0
        for some in [None] if choice.items is None else _slices(sorted(set(choice.items))):
            part = replace(choice, items=some)
            more = self._not_askable(run_id, part)
            wrong, pending = wrong + more[0], pending + more[1]
            after = ItemId(run_id * MAX_ITEMS - 1)
            on_step()
            while step := self._reopen(run_id, part, after):
                taken += len(step)
                after = step[-1]
                if len(step) < _REOPENED_AT_ONCE:
                    break
                self._database.give_way()
                on_step()
        return Requeued(taken_back=taken, wrong=wrong, pending=pending)

    def _not_askable(self, run_id: RunId, choice: Choice) -> tuple[int, int]:
        """How many of the chosen items are of wrong records, and how many of those that are named have no result."""
        wrong = sa.select(sa.func.count()).select_from(_chosen(run_id, choice).where(_of_wrong_record).subquery())
        named = sa.select(sa.func.count()).select_from(items_and_results).where(items.c.id.in_(choice.items or ()))
        if choice.question is not None:
            named = named.where(asks(choice.question))
        with self._database.reading() as connection:
            counted = connection.execute(wrong).scalar_one()
            if choice.items is None or choice.status is not None:
                return counted, 0
            return counted, connection.execute(named.where(has_no_result)).scalar_one()

    def _reopen(self, run_id: RunId, choice: Choice, after: ItemId) -> list[ItemId]:
        """One step behind an item; returns the items that are pending again, in order."""
        askable = _chosen(run_id, choice).where(sa.not_(_of_wrong_record), items.c.id > after)
        with self._database.writing() as connection:
            # Locks the run's row first, against deadlocks; and whoever looks for pending items looks everywhere again.
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(ended_to=0))
            # Locked, so that nobody adds flags to them unseen.
            chosen = askable.order_by(items.c.id).limit(_REOPENED_AT_ONCE).with_for_update(of=results)
            found = connection.execute(chosen).all()
            taken = [ItemId(row.id) for row in found]
            if taken:
                marked = sa.update(runs).where(runs.c.id == run_id, runs.c.published_to >= taken[0])
                connection.execute(marked.values(published_to=taken[0] - 1))
            take_back(self._database, connection, run_id, {ItemId(row.id): row.status for row in found})
        return taken


#: Items whose results are taken back in one transaction.
_REOPENED_AT_ONCE = 5000
#: An item without a question comes from a wrong record: asking again cannot end differently.
_of_wrong_record = items.c.question == ""


def _pending(run_id: RunId, *columns: sa.FromClause | sa.ColumnElement[Any]) -> sa.Select[*tuple[Any, ...]]:
    """Selects the run's pending items behind the item `after`, in order."""
    return (
        sa.select(*columns)
        .select_from(items_and_results)
        .where(items.c.id > sa.bindparam("after"), items.c.id < (run_id + 1) * MAX_ITEMS, has_no_result)
        .order_by(items.c.id)
    )


def _chosen(run_id: RunId, choice: Choice) -> sa.Select[int, str]:
    """Selects the chosen items that have a result, with its status."""
    query = sa.select(items.c.id, results.c.status).join(results, results.c.item_id == items.c.id)
    query = query.where(results.c.run_id == run_id, items.c.id < (run_id + 1) * MAX_ITEMS)
    if choice.status is not None:
        query = query.where(results.c.status == choice.status)
    if choice.question is not None:
        query = query.where(asks(choice.question))
    return query if choice.items is None else query.where(items.c.id.in_(choice.items))


def _slices(item_ids: Sequence[ItemId]) -> Iterator[tuple[ItemId, ...]]:
    # A statement takes at most some ten thousand parameters.
    for start in range(0, len(item_ids), _REOPENED_AT_ONCE):
        yield tuple(item_ids[start : start + _REOPENED_AT_ONCE])
