"""Storing outcomes: many in one transaction, and exactly one result for each item, the first one."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.clock import now
from persqa.errors import RowRefused
from persqa.generations import FinishReason
from persqa.items import ItemId
from persqa.pairs import Cause, EarlierRow
from persqa.policies import Rung
from persqa.results import Status
from persqa.runs import RunState
from persqa.store.bad_images import remember
from persqa.store.counters import count
from persqa.store.database import Database
from persqa.store.flags import count_flags, findings_of, flags_as_json
from persqa.store.numbering import number_endings
from persqa.store.provenances import Provenances
from persqa.store.schema import deleted_runs, earlier_results, items, results, runs, violations
from persqa.store.seen_before import insert_evidence
from persqa.store.stopping import Stopping
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
    NO = auto()  #: it has a result, or its run is paused, cancelled or deleted
    UNKNOWN = auto()  #: this database has no such run


class Results:
    """The results of items."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stopping = Stopping(database)
        self.provenances = Provenances(database)

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
        """Store outcomes; returns the items whose outcome was stored.

        Others have a result already, were requeued since they were asked, or are of a run that was deleted. Runs whose
        stop rules are broken now are paused.

        Raises:
            StoreUnavailable: nothing was stored, as far as is known; a repetition is safe.
            RowRefused: nothing was stored, since at least one of the outcomes cannot be.
        """
        self.provenances.note(one.result.run_id for one in outcomes if one.result.model is not None)
        stored = self._commit(outcomes)
        self._stopping.look(outcomes)
        return stored

    def _commit(self, outcomes: Sequence[Outcome]) -> set[ItemId]:
        try:
            with self._database.writing() as connection:
                return insert_outcomes(self._database, connection, outcomes)
        except RowRefused:
            # A late answer to an item of a deleted run has no item, and must not cost the others theirs.
            with self._database.writing() as connection:
                wanted = _of_kept_runs(connection, outcomes)
                if len(wanted) == len(outcomes):
                    raise
                return insert_outcomes(self._database, connection, wanted)

    def earlier(self, item_id: ItemId) -> list[EarlierRow]:
        """The results of an item that were taken back, the oldest first."""
        query = sa.select(earlier_results).where(earlier_results.c.item_id == item_id).order_by(earlier_results.c.id)
        with self._database.reading() as connection:
            return [_earlier_row(dict(row)) for row in connection.execute(query).mappings()]


def _wanted(connection: sa.Connection, asked: Sequence[Asked]) -> list[Want]:
    # One statement, since every item waits for it.
    of_run = sa.select(runs.c.id, runs.c.key, runs.c.state)
    of_deleted_run = sa.select(deleted_runs.c.id, deleted_runs.c.key, sa.literal(RunState.CANCELLED.value))
    of_item = sa.select(results.c.item_id, sa.null(), sa.null())
    run_ids = sorted({one.run for one in asked})
    all_of_it = sa.union_all(
        of_run.where(runs.c.id.in_(run_ids)),
        of_deleted_run.where(deleted_runs.c.id.in_(run_ids)),
        of_item.where(results.c.item_id.in_([one.item for one in asked])),
    )
    found = connection.execute(all_of_it).all()
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
    unique = _one_each(outcomes)
    # In key order, against deadlocks.
    ordered = [unique[item_id] for item_id in sorted(unique)]
    if not ordered:
        return set()
    insert = database.insert(results).on_conflict_do_nothing().returning(results.c.item_id)
    rows = [
        {**row_of(result), "forced": result.rung is not None and result.rung.forced}
        for result in (outcome.result for outcome in ordered)
    ]
    stored = {ItemId(item_id) for item_id in connection.execute(insert, rows).scalars()}
    stored -= _take_out_stale(connection, [outcome for outcome in ordered if outcome.result.item_id in stored])
    written = [outcome for outcome in ordered if outcome.result.item_id in stored]
    broken = [row_of(violation) for outcome in written for violation in outcome.violations]
    if broken:
        connection.execute(sa.insert(violations), broken)
    remember(database, connection, (image for outcome in written for image in outcome.bad_images))
    flagged = insert_evidence(database, connection, written)
    count(database, connection, Counter((o.result.run_id, o.result.status.value) for o in written))
    count_flags(database, connection, flagged)
    number_endings(database, connection, written)
    return stored


def _one_each(outcomes: Sequence[Outcome]) -> dict[ItemId, Outcome]:
    """The outcome of each item: the first one of the last requeue, since those before are stale."""
    chosen: dict[ItemId, Outcome] = {}
    for outcome in outcomes:
        before = chosen.setdefault(outcome.result.item_id, outcome)
        if (outcome.requeues or 0) > (before.requeues or 0):
            chosen[outcome.result.item_id] = outcome
    return chosen


def _take_out_stale(connection: sa.Connection, written: Sequence[Outcome]) -> set[ItemId]:
    """Delete the results just written of items that were requeued since they were asked; returns those items.

    A copy of a message may still be in a worker's hand when its item is requeued. After the rows are written nobody can
    requeue their items unseen, so it is looked for then.
    """
    by_requeues: defaultdict[int, list[ItemId]] = defaultdict(list)
    for outcome in written:
        if outcome.requeues is not None:
            by_requeues[outcome.requeues].append(outcome.result.item_id)
    stale: set[ItemId] = set()
    for requeues, item_ids in by_requeues.items():
        others = sa.select(items.c.id).where(items.c.id.in_(item_ids), items.c.requeues != requeues)
        stale.update(ItemId(item_id) for item_id in connection.execute(others).scalars())
    if stale:
        connection.execute(sa.delete(results).where(results.c.item_id.in_(stale)))
    return stale


def _of_kept_runs(connection: sa.Connection, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of runs that are there and are not being deleted."""
    run_ids = {outcome.result.run_id for outcome in outcomes}
    query = sa.select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.deleting.is_(False))
    kept = set(connection.execute(query).scalars())
    return [outcome for outcome in outcomes if outcome.result.run_id in kept]


def keep_as_earlier(connection: sa.Connection, item_ids: Sequence[ItemId]) -> None:
    """Copy the results of items into the earlier results, inside a transaction that takes them back."""
    own = list(results.c)
    taken_back_at = sa.literal(now(), earlier_results.c.taken_back_at.type)
    copied = sa.select(*own, items.c.requeues, taken_back_at, flags_as_json(connection))
    copied = copied.join(items, items.c.id == results.c.item_id).where(results.c.item_id.in_(item_ids))
    names = [*(column.name for column in own), "requeues", "taken_back_at", "flags"]
    connection.execute(sa.insert(earlier_results).from_select(names, copied.order_by(results.c.item_id)))


def _earlier_row(row: dict[str, Any]) -> EarlierRow:
    del row["id"], row["run_id"], row["image_seconds"], row["engine_seconds"]
    read: dict[str, Any] = {
        "status": Status(row["status"]),
        "rung": None if row["rung"] is None else Rung(row["rung"]),
        "finish_reason": None if row["finish_reason"] is None else FinishReason(row["finish_reason"]),
        "flags": findings_of(row["flags"]),
    }
    return EarlierRow(**row | read)
