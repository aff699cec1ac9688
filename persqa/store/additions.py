"""Additions: open runs, and the records that are added to them, many in one transaction, by many programs at once."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.additions import Added, Addition, Place
from persqa.clock import now
from persqa.errors import RunConflict, RunStopped
from persqa.items import MAX_ITEMS, Item, ItemId, item_id
from persqa.results import Outcome
from persqa.runs import Run, RunState
from persqa.store.coming import earlier_records, record_keys
from persqa.store.counters import SUBMITTED, count
from persqa.store.database import Database
from persqa.store.item_rows import STORED, insert_items, row_of_item
from persqa.store.numbering import tell
from persqa.store.results import insert_outcomes
from persqa.store.run_rows import refuse_conflict, run_of
from persqa.store.runs import gone
from persqa.store.schema import items, items_and_results, results, runs
from persqa.store.taking_back import take_back
from persqa.words import option, to_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.records import RecordLimits
    from persqa.runs import RunOptions

#: Of an open run, whose data nobody knows before it is closed. No digest is empty.
_NO_FINGERPRINT = ""
#: What differs from one version of an item to the next; its place does not.
_REPLACED = ("record", "images", "tag", "topic", "question")
#: Keys in one statement.
_KEYS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledgered:
    """What one call of `Additions.add` has done.

    Attributes:
        run: as it is now.
        places: of the records, in their order.
        items: those that are to be enqueued now; none of a run that is paused.
    """

    run: Run
    places: list[Place]
    items: list[Item]


class Additions:
    """Open runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self,
        name: str,
        *,
        options: RunOptions,
        pool_digest: str,
        base: str,
        limits: RecordLimits,
        key_field: str | None,
    ) -> Run:
        """Create an open run, or find the one of this name with the same options, which may be closed by now.

        The one that is found keeps its own base and limits.

        Raises:
            RunConflict: the name is taken by a data set, or by a run with other options.
        """
        row = {
            "name": name,
            "options": options.model_dump_json(),
            "pool_digest": pool_digest,
            "fingerprint": _NO_FINGERPRINT,
            "base": base,
            "items": 0,
            "limits": json.dumps(asdict(limits)),
            "model": options.model,
            "created_at": now(),
            "key": secrets.token_hex(8),
            "open": True,
            "key_field": key_field,
        }
        with self._database.writing() as connection:
            connection.execute(self._database.insert(runs).values(row).on_conflict_do_nothing())
            run = run_of(connection.execute(sa.select(runs).where(runs.c.name == name)).one())
        if not run.grows:
            raise RunConflict(f"the run {name!r} is a data set, to which nothing is added: choose another name")
        refuse_conflict(run, options=options, pool_digest=pool_digest, fingerprint=_NO_FINGERPRINT)
        if run.key_field != key_field:
            named = "its content" if run.key_field is None else f"the field {run.key_field!r}"
            raise RunConflict(f"in the run {name!r}, a record is named by {named}: say the same with {option('key')}")
        return run

    def add(self, run: Run, batch: Sequence[Addition], *, replacing: bool = False) -> Ledgered:
        """Add records to an open run, all in one transaction; what is there already stays as it is.

        Args:
            run: the run.
            batch: the records; of two with one key, the second is treated as if it came later.
            replacing: whether a record takes the place of another one of its key; a wrong record takes nobody's.

        Raises:
            RunConflict: the run is closed, and not all records are there already.
            RunStopped: it is cancelled or being deleted.
            RunNotFound: it is gone.
        """
        with self._database.writing() as connection:
            # Locks the run's row first, as `Ledger.reopen` does: who has it is alone with the run.
            touch = sa.update(runs).where(runs.c.id == run.id).values(ended_to=runs.c.ended_to)
            row = connection.execute(touch.returning(*runs.c)).one_or_none()
            if row is None:
                raise gone(run)
            adding = _Adding(self._database, connection, row, batch)
            if replacing:
                adding.hold(batch)
            places = [adding.take(addition, replacing=replacing) for addition in batch]
            return replace(adding.write(), places=places)

    def close(self, run: Run) -> Run:
        """Let nothing more be added to the run; safe to repeat.

        Raises:
            RunNotFound: it is gone.
        """
        closed = sa.update(runs).where(runs.c.id == run.id, runs.c.open.is_not(None)).values(open=False)
        with self._database.writing() as connection:
            row = connection.execute(closed.returning(*runs.c)).one_or_none()
            # Who follows the run may have all of it.
            tell(self._database, connection, run.id)
        if row is None:
            raise gone(run)
        return run_of(row)


class _Adding:
    """One call of `Additions.add`, inside its transaction."""

    def __init__(
        self, database: Database, connection: sa.Connection, row: sa.Row[*tuple[Any, ...]], batch: Sequence[Addition]
    ) -> None:
        self._database, self._connection = database, connection
        self._run = _not_given_up(run_of(row))
        self._records: int = row.records
        self._known = self._read({addition.digests[0] for addition in batch})
        #: What is new and not written yet: keys, items, and results of wrong records.
        self._keys: list[dict[str, object]] = []
        self._items: list[Item] = []
        self._outcomes: list[Outcome] = []
        #: How many items were written, and the first one that was taken back.
        self._written, self._taken_back = 0, MAX_ITEMS * (self._run.id + 1)
        #: Items that are to be enqueued.
        self._asked: list[Item] = []

    def _read(self, keys: set[str]) -> dict[str, tuple[int, str]]:
        """Position and content of the records that are there, by their keys."""
        ordered, found = sorted(keys), dict[str, tuple[int, str]]()
        query = sa.select(record_keys.c.key, record_keys.c.position, record_keys.c.content)
        query = query.where(record_keys.c.run_id == self._run.id)
        for start in range(0, len(ordered), _KEYS_AT_ONCE):
            some = record_keys.c.key.in_(ordered[start : start + _KEYS_AT_ONCE])
            for key, position, content in self._connection.execute(query.where(some)):
                found[key] = position, content
        return found

    def hold(self, batch: Sequence[Addition]) -> None:
        """Lock the items of records that are to be replaced, all at once and before any counter, against deadlocks.

        Who is committing a result of one of them is waited for, and is seen then; a later one finds other requeues.
        """
        there = {self._known[key][0] for key, content in (one.digests for one in batch) if self._differs(key, content)}
        ordered, each = sorted(there), self._run.options.questions_per_image
        for start in range(0, len(ordered), _KEYS_AT_ONCE // each):
            some = ordered[start : start + _KEYS_AT_ONCE // each]
            own = [item_id(self._run.id, position * each + slot) for position in some for slot in range(each)]
            query = sa.select(items.c.id).where(items.c.id.in_(own)).order_by(items.c.id)
            self._connection.execute(query.with_for_update())

    def _differs(self, key: str, content: str) -> bool:
        return key in self._known and self._known[key][1] != content

    def take(self, addition: Addition, *, replacing: bool) -> Place:
        """Add one record, unless it is there."""
        key, content = addition.digests
        position, there = self._known.get(key, (self._records, None))
        if there == content:
            return Place(Added.KNOWN, position, tuple(item.id for item in addition.items(position)[0]))
        if there is not None and (not replacing or addition.error is not None):
            return Place(Added.REFUSED, position, ())
        if self._run.open is False:
            raise RunConflict(f"the run {self._run.name!r} is closed: nothing more is added to it")
        found, wrong = addition.items(position)
        self._known[key] = position, content
        if there is None:
            self._records += 1
            self._keys.append({"run_id": self._run.id, "key": key, "position": position, "content": content})
            self._items += found
            self._outcomes += map(Outcome, wrong)
        else:
            # What it replaces may be of the same batch.
            self._flush()
            found = self._replace(position, found)
            which = (record_keys.c.run_id == self._run.id, record_keys.c.key == key)
            self._connection.execute(sa.update(record_keys).where(*which).values(content=content))
        self._asked += () if wrong else found
        return Place(Added.ADDED if there is None else Added.REPLACED, position, tuple(item.id for item in found))

    def write(self) -> Ledgered:
        """Write what is left, and how far the run goes now."""
        self._flush()
        active = self._run.state is RunState.ACTIVE
        new_to = max((item.id for item in self._asked), default=0) if active else 0
        values = {
            "records": self._records,
            "items": runs.c["items"] + self._written,
            "ended_to": sa.case((runs.c.ended_to < self._taken_back, runs.c.ended_to), else_=self._taken_back - 1),
            # They are being enqueued: from now on, one that is in no queue counts as lost.
            "published_to": sa.case((runs.c.published_to < new_to, new_to), else_=runs.c.published_to),
        }
        changed = sa.update(runs).where(runs.c.id == self._run.id).values(values).returning(*runs.c)
        run = run_of(self._connection.execute(changed).one())
        if self._written:
            count(self._database, self._connection, Counter({(int(run.id), SUBMITTED): self._written}))
        return Ledgered(run=run, places=[], items=self._asked if active else [])

    def _flush(self) -> None:
        if self._keys:
            self._connection.execute(sa.insert(record_keys), self._keys)
        insert_items(self._database, self._connection, [row_of_item(item) for item in self._items])
        self._written += len(self._items)
        insert_outcomes(self._database, self._connection, self._outcomes)
        self._keys, self._items, self._outcomes = [], [], []

    def _replace(self, position: int, found: Sequence[Item]) -> list[Item]:
        """Put a usable record in the place of another one; returns its items as they are now."""
        first = item_id(self._run.id, position * self._run.options.questions_per_image)
        end = first + self._run.options.questions_per_image
        query = sa.select(items.c.id, items.c.record, items.c.requeues, results.c.status)
        query = query.select_from(items_and_results).where(items.c.id >= first, items.c.id < end).order_by(items.c.id)
        old = self._connection.execute(query).all()
        kept = {"run_id": self._run.id, "position": position, "record": old[0].record, "requeues": old[0].requeues}
        self._connection.execute(sa.insert(earlier_records).values(**kept, replaced_at=now()))
        statuses = {ItemId(row.id): str(row.status) for row in old if row.status is not None}
        take_back(self._database, self._connection, self._run.id, statuses)
        pending = items.c.id.in_([row.id for row in old if row.status is None])
        # What workers still answer for the old record finds other requeues, and is dropped.
        anew = {"requeues": items.c.requeues + 1, "recoveries": 0}
        self._connection.execute(sa.update(items).where(pending).values(anew))
        requeues = {row.id: row.requeues + 1 for row in old}
        newer = [replace(item, requeues=requeues.get(item.id, 0)) for item in found]
        for item in newer:
            if item.id in requeues:
                row = dict(zip(STORED, row_of_item(item), strict=True))
                values = {name: row[name] for name in _REPLACED}
                self._connection.execute(sa.update(items).where(items.c.id == item.id).values(values))
            else:
                self._items.append(item)
        self._taken_back = min(self._taken_back, first)
        return newer


def _not_given_up(run: Run) -> Run:
    if run.deleting:
        raise RunStopped(f"the run {run.name!r} is being deleted: nothing is added to it")
    if run.state is RunState.CANCELLED:
        again = to_type(f"persqa resume {run.name}")
        raise RunStopped(f"the run {run.name!r} is cancelled: nothing is added to it; to take it up again: {again}")
    return run
