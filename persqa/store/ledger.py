"""The ledger: runs and their items; written before anything is published, so nothing is lost with Redis."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.errors import RunConflict, RunNotFound, RunStopped
from persqa.items import MAX_ITEMS, Item, ItemId
from persqa.results import Outcome, Result, Status, now
from persqa.runs import Priority, Run, RunId, RunOptions, RunState
from persqa.store.counters import SUBMITTED, count
from persqa.store.database import Database
from persqa.store.results import insert_outcomes
from persqa.store.schema import items, results, run_counters, runs
from persqa.store.text import storable
from persqa.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Ledger:
    """Which runs there are, and which items each has."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_run(
        self,
        name: str,
        *,
        options: RunOptions,
        pool_digest: str,
        fingerprint: str,
        base: str,
        item_count: int,
    ) -> Run:
        """Create the run, or find the one of this name if it has the same data and options.

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
            "model": options.model,
            "created_at": now(),
        }
        with self._database.writing() as connection:
            connection.execute(self._database.insert(runs).values(row).on_conflict_do_nothing())
            run = _run(connection.execute(sa.select(runs).where(runs.c.name == name)).one())
        _refuse_conflict(run, options=options, pool_digest=pool_digest, fingerprint=fingerprint)
        return run if run.base == base else self._move(run, base)

    def _move(self, run: Run, base: str) -> Run:
        """The same data in another folder: what is still to be enqueued is looked for there."""
        with self._database.writing() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run.id).values(base=base))
        return replace(run, base=base)

    def set_recheck(self, run: Run, recheck: bool) -> Run:
        """Let what is enqueued of this run from now on try images again that are known to be broken, or not."""
        if run.recheck == recheck:
            return run
        with self._database.writing() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run.id).values(recheck=recheck))
        return replace(run, recheck=recheck)

    def set_state(self, run: Run, state: RunState) -> Run:
        """Pause, cancel or resume a run; safe to repeat.

        A run that stops or starts has none of its items enqueued, so its mark goes back to before the first; and stays
        there until it is active, as nobody enqueues anything before.

        Raises:
            RunStopped: a cancelled run is to be paused.
        """
        nothing = {"published_to": _nothing(run.id)}
        update = sa.update(runs).where(runs.c.id == run.id, runs.c.state != state)
        if state is RunState.PAUSED:
            update = update.where(runs.c.state != RunState.CANCELLED)
        with self._database.writing() as connection:
            connection.execute(update.values(state=state, **nothing))
            changed = _run(connection.execute(sa.select(runs).where(runs.c.id == run.id)).one())
        if changed.state is not state:
            raise RunStopped(
                f"the run {run.name!r} is cancelled already; to take it up again: persqa resume {run.name}"
            )
        return changed

    def set_priority(self, run: Run, priority: Priority) -> Run:
        """Let what is enqueued of this run from now on go before others, or after them."""
        with self._database.writing() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run.id).values(priority=priority))
        return replace(run, priority=priority)

    def reread(self, run: Run) -> Run:
        """The run as it is now."""
        with self._database.reading() as connection:
            return _run(connection.execute(sa.select(runs).where(runs.c.id == run.id)).one())

    def find_run(self, name: str) -> Run:
        """The run of this name.

        Raises:
            RunNotFound: there is none; the message lists some that there are.
        """
        with self._database.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.name == name)).one_or_none()
        if row is None:
            known = ", ".join(run.name for run in self.runs()[:5])
            raise RunNotFound(f"no run is named {name!r}; " + (f"there are: {known}" if known else "there is none yet"))
        return _run(row)

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        with self._database.reading() as connection:
            return [_run(row) for row in connection.execute(sa.select(runs).order_by(runs.c.id.desc()))]

    def add(self, batch: Sequence[Item], invalid: Sequence[Result]) -> int:
        """Write items that are not there yet, and with them the results of those that can never be asked.

        Returns:
            How many items were new.
        """
        if not batch:
            return 0
        insert = self._database.insert(items).on_conflict_do_nothing().returning(items.c.id, items.c.run_id)
        with self._database.writing() as connection:
            new = connection.execute(insert, [_item_row(item) for item in batch]).all()
            new_ids = {row.id for row in new}
            outcomes = [Outcome(result) for result in invalid if result.item_id in new_ids]
            insert_outcomes(self._database, connection, outcomes)
            count(self._database, connection, Counter((row.run_id, SUBMITTED) for row in new))
        return len(new)

    def pending(self, run_id: RunId, *, chunk: int = 1000) -> Iterator[list[Item]]:
        """The items that have no result yet, in the input's order, in chunks; without records, which can be large."""
        query = _pending(run_id, *_SENT).limit(chunk)
        after = self._tidy(run_id)
        while True:
            with self._database.reading() as connection:
                found = [_item(row) for row in connection.execute(query, {"after": after})]
            if not found:
                return
            yield found
            after = found[-1].id

    def pending_ids(self, run_id: RunId, *, chunk: int = 10_000) -> Iterator[ItemId]:
        """The ids of the items that have no result yet, in order; only reads, so whoever may read may ask."""
        query = _pending(run_id, items.c.id).limit(chunk)
        with self._database.reading() as connection:
            known = connection.execute(sa.select(runs.c.ended_to).where(runs.c.id == run_id)).scalar_one()
        after = max(known, run_id * MAX_ITEMS - 1)
        while True:
            with self._database.reading() as connection:
                found = connection.execute(query, {"after": after}).scalars().all()
            yield from map(ItemId, found)
            if len(found) < chunk:
                return
            after = found[-1]

    def _tidy(self, run_id: RunId) -> ItemId:
        """Note how far the run has ended; returns the last item before which, and with which, all have results."""
        with self._database.writing() as connection:
            # The row is taken first, as `reopen` does: whoever comes second sees what the first has done.
            touch = sa.update(runs).where(runs.c.id == run_id).values(ended_to=runs.c.ended_to)
            known = connection.execute(touch.returning(runs.c.ended_to)).scalar_one()
            after = max(known, run_id * MAX_ITEMS - 1)
            first = connection.execute(_pending(run_id, items.c.id).limit(1), {"after": after}).scalar()
            if first is None:
                return ItemId(after)
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(ended_to=first - 1))
            return ItemId(first - 1)

    def mark_published(self, run_id: RunId, last: ItemId) -> None:
        """Note that items up to this one are being enqueued; call before they are.

        From then on one of them that is pending and in no queue counts as lost. Not so in a run that has been paused or
        cancelled by now: its messages are dropped, wherever they turn up.
        """
        further = sa.update(runs).where(runs.c.id == run_id, runs.c.published_to < last)
        with self._database.writing() as connection:
            connection.execute(further.where(runs.c.state == RunState.ACTIVE).values(published_to=last))

    def begin_publishing(self, run_id: RunId) -> None:
        """Note that somebody publishes what a run has pending, so that nobody need `adopt` it."""
        self._mark_resumed(run_id, ItemId(run_id * MAX_ITEMS))

    def awaits_publishing(self, run_id: RunId) -> bool:
        """Whether the run was resumed and nobody has begun to publish it."""
        return self.published_to(run_id) == _nothing(run_id)

    def adopt(self, run_id: RunId) -> bool:
        """Let all of a run count as published that was resumed and that nobody publishes.

        So what is in no queue is lost, and looked for.

        Returns:
            Whether nobody was faster.
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
        """The last item that was enqueued at least once; 0 where none was."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(runs.c.published_to).where(runs.c.id == run_id)).scalar_one()
        return ItemId(found)

    def recovered(self, item_ids: Sequence[ItemId], *, times: int) -> set[ItemId]:
        """Those of the items that were lost and enqueued again so often."""
        query = sa.select(items.c.id).where(items.c.id.in_(item_ids), items.c.recoveries >= times)
        with self._database.reading() as connection:
            return {ItemId(item_id) for item_id in connection.execute(query).scalars()}

    def count_recoveries(self, item_ids: Sequence[ItemId]) -> None:
        """Note that these items were lost and are enqueued again."""
        update = sa.update(items).where(items.c.id.in_(item_ids)).values(recoveries=items.c.recoveries + 1)
        run_ids = {item_id // MAX_ITEMS for item_id in item_ids}
        with self._database.writing() as connection:
            # The run's row is taken first, as `reopen` does: else each could have items that the other waits for.
            connection.execute(sa.update(runs).where(runs.c.id.in_(run_ids)).values(ended_to=runs.c.ended_to))
            connection.execute(update)

    def unfinished(self) -> list[Run]:
        """The active runs that have pending items."""
        ended = sa.func.sum(sa.case((run_counters.c.status == SUBMITTED, run_counters.c["items"]),
                                    else_=-run_counters.c["items"]))  # fmt: skip
        active = sa.select(runs).join(run_counters).where(runs.c.state == RunState.ACTIVE)
        query = active.group_by(*runs.c).having(ended > 0).order_by(runs.c.id)
        with self._database.reading() as connection:
            return [_run(row) for row in connection.execute(query)]

    def reopen(self, run_id: RunId, status: Status) -> int:
        """Take back the results of one status, so that their items are pending again; violations stay.

        Returns:
            How many items were reopened.
        """
        chosen = sa.select(results.c.item_id).where(results.c.run_id == run_id, results.c.status == status)
        # An item without an image never was a record: asking again cannot end otherwise.
        askable = chosen.join(items, items.c.id == results.c.item_id).where(items.c.question != "")
        with self._database.writing() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(ended_to=0))
            anew = {"requeues": items.c.requeues + 1, "recoveries": 0}
            connection.execute(sa.update(items).where(items.c.id.in_(askable)).values(anew))
            taken = connection.execute(sa.delete(results).where(results.c.item_id.in_(askable))).rowcount
            count(self._database, connection, Counter({(run_id, status): -taken}))
        return taken


#: All that a message is made of.
_SENT = tuple(column for column in items.c if column.name != "record")


def _nothing(run_id: RunId) -> int:
    """The mark of a run of which nothing is published since it was paused or cancelled; that of a new one is 0."""
    return run_id * MAX_ITEMS - 1


def _pending(run_id: RunId, *columns: sa.FromClause | sa.ColumnElement[Any]) -> sa.Select[Any]:
    """What a run has pending behind the item `after`, in order."""
    return (
        sa.select(*columns)
        .select_from(items.outerjoin(results, results.c.item_id == items.c.id))
        .where(items.c.id > sa.bindparam("after"), items.c.id < (run_id + 1) * MAX_ITEMS)
        .where(results.c.item_id.is_(None))
        .order_by(items.c.id)
    )


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
        recheck=row.recheck,
        priority=Priority(row.priority),
        state=RunState(row.state),
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
