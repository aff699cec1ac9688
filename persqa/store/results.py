"""Storing outcomes: many in one transaction, and exactly one result for each item, the first one."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.items import ItemId
from persqa.runs import RunId, RunState
from persqa.store.bad_images import remember
from persqa.store.counters import count
from persqa.store.database import Database
from persqa.store.schema import results, runs, violations
from persqa.store.text import row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persqa.results import Outcome

_LOOKUP_CHUNK = 5000


class Results:
    """The results of items."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ended(self, item_ids: Iterable[ItemId]) -> set[ItemId]:
        """The items among these that have a result."""
        ended: set[ItemId] = set()
        remaining = iter(item_ids)
        with self._database.reading() as connection:
            # A statement takes at most some ten thousand parameters.
            while chunk := list(islice(remaining, _LOOKUP_CHUNK)):
                query = sa.select(results.c.item_id).where(results.c.item_id.in_(chunk))
                ended.update(ItemId(item_id) for item_id in connection.execute(query).scalars())
        return ended

    def unwanted(self, asked: Iterable[tuple[RunId, ItemId]]) -> set[ItemId]:
        """The items that need no work: they have a result, or their run is paused or cancelled."""
        remaining = iter(asked)
        unwanted: set[ItemId] = set()
        with self._database.reading() as connection:
            while chunk := list(islice(remaining, _LOOKUP_CHUNK)):
                stopped, ended = _unwanted(connection, chunk)
                unwanted |= {item_id for run_id, item_id in chunk if run_id in stopped or item_id in ended}
        return unwanted

    def commit(self, outcomes: Sequence[Outcome]) -> set[ItemId]:
        """Store outcomes, except those of items that have a result; returns the items whose outcome was stored.

        Raises:
            StoreUnavailable: nothing was stored, as far as is known; a repetition is safe.
            RowRefused: nothing was stored, since at least one of the outcomes cannot be.
        """
        with self._database.writing() as connection:
            return insert_outcomes(self._database, connection, outcomes)


def _unwanted(connection: sa.Connection, asked: Sequence[tuple[RunId, ItemId]]) -> tuple[set[int], set[int]]:
    """The runs that are not active, and the items that have ended; in one statement, since every item waits for it."""
    of_run = sa.select(sa.true().label("is_run"), runs.c.id.label("id"))
    of_item = sa.select(sa.false(), results.c.item_id)
    both = sa.union_all(
        of_run.where(runs.c.id.in_(sorted({run_id for run_id, _ in asked})), runs.c.state != RunState.ACTIVE),
        of_item.where(results.c.item_id.in_([item_id for _, item_id in asked])),
    )
    found = connection.execute(both).all()
    return {row.id for row in found if row.is_run}, {row.id for row in found if not row.is_run}


def insert_outcomes(database: Database, connection: sa.Connection, outcomes: Sequence[Outcome]) -> set[ItemId]:
    """The part of `Results.commit` inside its transaction."""
    # In key order, against deadlocks; the first of two outcomes for one item wins.
    unique = {outcome.result.item_id: outcome for outcome in reversed(outcomes)}
    ordered = [unique[item_id] for item_id in sorted(unique)]
    if not ordered:
        return set()
    insert = database.insert(results).on_conflict_do_nothing().returning(results.c.item_id)
    rows = [
        {**row_of(result), "forced": result.rung is not None and result.rung.forced}
        for result in (outcome.result for outcome in ordered)
    ]
    stored = {ItemId(item_id) for item_id in connection.execute(insert, rows).scalars()}
    written = [outcome for outcome in ordered if outcome.result.item_id in stored]
    broken = [row_of(violation) for outcome in written for violation in outcome.violations]
    if broken:
        connection.execute(sa.insert(violations), broken)
    remember(database, connection, (image for outcome in written for image in outcome.bad_images))
    count(database, connection, Counter((o.result.run_id, o.result.status.value) for o in written))
    return stored
