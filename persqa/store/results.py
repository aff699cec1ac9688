"""Storing outcomes: many in one transaction, and exactly one result for each item, the first one."""

from __future__ import annotations

from collections import Counter
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.items import ItemId
from persqa.pairs import Cause
from persqa.results import Status
from persqa.runs import RunState
from persqa.store.bad_images import remember
from persqa.store.counters import count
from persqa.store.database import Database
from persqa.store.schema import results, runs, violations
from persqa.store.text import row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persqa.messages import Asked
    from persqa.results import Outcome
    from persqa.runs import RunId

_LOOKUP_CHUNK = 5000


class Want(Enum):
    """Whether an item needs work."""

    YES = auto()
    NO = auto()  #: it has a result, or its run is paused or cancelled
    UNKNOWN = auto()  #: this database has no such run


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

    def wanted(self, asked: Iterable[Asked]) -> list[Want]:
        """Whether each of these items needs work."""
        remaining = iter(asked)
        wanted: list[Want] = []
        with self._database.reading() as connection:
            while chunk := list(islice(remaining, _LOOKUP_CHUNK)):
                wanted += _wanted(connection, chunk)
        return wanted

    def main_cause(self, run_id: RunId) -> Cause | None:
        """The most frequent reason why items of the run are not `ok`; the time grows with the run."""
        number, first = sa.func.count().label("number"), sa.func.min(results.c.item_id).label("first")
        failed = sa.select(results.c.status, results.c.reason, number, first).where(
            results.c.run_id == run_id, results.c.status != Status.OK
        )
        grouped = failed.group_by(results.c.status, results.c.reason).order_by(number.desc(), first).limit(1)
        with self._database.reading() as connection:
            if (row := connection.execute(grouped).one_or_none()) is None:
                return None
            example = connection.execute(sa.select(results.c.detail).where(results.c.item_id == row.first)).scalar()
        return Cause(status=Status(row.status), reason=row.reason, items=row.number, example=example)

    def commit(self, outcomes: Sequence[Outcome]) -> set[ItemId]:
        """Store outcomes, except those of items that have a result; returns the items whose outcome was stored.

        Raises:
            StoreUnavailable: nothing was stored, as far as is known; a repetition is safe.
            RowRefused: nothing was stored, since at least one of the outcomes cannot be.
        """
        with self._database.writing() as connection:
            return insert_outcomes(self._database, connection, outcomes)


def _wanted(connection: sa.Connection, asked: Sequence[Asked]) -> list[Want]:
    # One statement, since every item waits for it.
    of_run = sa.select(runs.c.id, runs.c.key, runs.c.state)
    of_item = sa.select(results.c.item_id, sa.null(), sa.null())
    both = sa.union_all(
        of_run.where(runs.c.id.in_(sorted({one.run for one in asked}))),
        of_item.where(results.c.item_id.in_([one.item for one in asked])),
    )
    found = connection.execute(both).all()
    states = {(row.id, row.key): row.state for row in found if row.key is not None}
    ended = {row.id for row in found if row.key is None}
    wanted: list[Want] = []
    for one in asked:
        state = states.get((one.run, one.run_key))
        if state is None:
            wanted.append(Want.UNKNOWN)
        else:
            wanted.append(Want.YES if state == RunState.ACTIVE and one.item not in ended else Want.NO)
    return wanted


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
