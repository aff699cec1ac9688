"""Reviews: what people say of results, and what they said before."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.clock import now
from persqa.errors import SettingsError
from persqa.items import ItemId
from persqa.reviews import Decision, GivenReview, Review, Seen, Wanted
from persqa.store.database import Database
from persqa.store.schema import earlier_reviews, results, reviews, runs
from persqa.store.text import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from persqa.runs import RunId

#: Items in one transaction, for as long as which SQLite keeps all writers out; and in one look.
_AT_ONCE = 5000
#: Tables that a reviewer writes, and the rights that needs; changes of a run lock its row, which needs one, too.
_RIGHTS = (("reviews", "INSERT, UPDATE, DELETE"), ("earlier_reviews", "INSERT, DELETE"))

_COPIED = [column.name for column in reviews.c]


class Reviews:
    """The reviews of all runs; every change of a run's reviews locks the run's row first, as a requeue does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, item_ids: Iterable[ItemId]) -> dict[ItemId, Review]:
        """The reviews that hold now, by item; items without one are left out."""
        found: dict[ItemId, Review] = {}
        remaining = iter(item_ids)
        with self._database.reading() as connection:
            while chunk := list(islice(remaining, _AT_ONCE)):
                query = sa.select(reviews).where(reviews.c.item_id.in_(chunk))
                found.update((ItemId(row.item_id), _review(row)) for row in connection.execute(query))
        return found

    def history(self, item_id: ItemId) -> list[Review]:
        """What was said of an item's results before, the oldest first."""
        query = sa.select(earlier_reviews).where(earlier_reviews.c.item_id == item_id).order_by(earlier_reviews.c.id)
        with self._database.reading() as connection:
            return [_review(row, replaced_at=row.replaced_at) for row in connection.execute(query)]

    def any(self, run_id: RunId) -> bool:
        """Whether somebody has reviewed a result of the run."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(sa.exists().where(reviews.c.run_id == run_id))).scalar_one()

    def change(  # noqa: PLR0913 - who says what of which, and how far it is
        self,
        run_id: RunId,
        item_ids: Iterable[int],
        given: GivenReview,
        *,
        reviewer: str,
        action: str,
        seen: Seen | None = None,
        on_step: Callable[[int], None] = lambda _items: None,
    ) -> list[ItemId]:
        """Review results in steps, each a transaction; workers write in between. Safe to repeat after an interruption.

        Left out are items of other runs, those without a result, those of which all this is said already, and those
        that this action has changed before, whatever became of that.

        Args:
            run_id: the run.
            item_ids: any number of items; only some thousands are taken at a time.
            given: what to change.
            reviewer: who says so.
            action: what `undo` takes.
            seen: what the person saw; other results than these are left out.
            on_step: called after each transaction, with the number of items that it has changed.

        Returns:
            The items whose reviews were changed.
        """
        if not given:
            return []
        new = _new(given)
        new |= {"reviewer": sa.literal(storable(reviewer), sa.Text()), "action": sa.literal(action, sa.Text())}
        changed: list[ItemId] = []
        remaining = iter(item_ids)
        # Numbers of other libraries are none to the database's.
        while some := [int(item_id) for item_id in islice(remaining, _AT_ONCE)]:
            with self._database.writing() as connection:
                _lock(connection, run_id)
                query = _changing(given, new, action).where(results.c.item_id.in_(some), results.c.run_id == run_id)
                found = connection.execute(query).all()
                chosen = [ItemId(row.item_id) for row in found if _is_seen(row, seen)]
                if chosen:
                    _keep(connection, chosen, replaced_by=action)
                    self._put(connection, chosen, new)
            changed += chosen
            on_step(len(chosen))
            if len(some) == _AT_ONCE:
                self._database.give_way()
        return changed

    def undo(self, run_id: RunId, action: str) -> list[ItemId]:
        """Bring back what held before an action, where nobody has changed it since; in steps, as `change`.

        Returns:
            The items whose reviews were changed.
        """
        undone: list[ItemId] = []
        after = -1
        while step := self._undo(run_id, action, after):
            undone += step
            after = step[-1]
            if len(step) < _AT_ONCE:
                break
            self._database.give_way()
        return undone

    def may_write(self) -> bool:
        """Whether this user may review; nothing is written, and no right to write is needed to ask."""
        if self._database.is_sqlite:
            try:
                self._database.refuse_unwritable()
            except SettingsError:
                return False
            return True
        of_tables = [
            sa.func.has_table_privilege(table, right.strip())
            for table, rights in _RIGHTS
            for right in rights.split(",")
        ]
        of_tables.append(sa.func.has_any_column_privilege("runs", "UPDATE"))
        of_tables.append(
            sa.func.has_sequence_privilege(sa.func.pg_get_serial_sequence("earlier_reviews", "id"), "USAGE")
        )
        for_reading = sa.func.current_setting("default_transaction_read_only") == "on"
        with self._database.reading() as connection:
            query = sa.select(sa.and_(*of_tables, sa.not_(for_reading), sa.not_(sa.func.pg_is_in_recovery())))
            return bool(connection.execute(query).scalar_one())

    def _put(self, connection: sa.Connection, item_ids: Sequence[ItemId], new: dict[str, Any]) -> None:
        values = {"item_id": results.c.item_id, "run_id": results.c.run_id, **new}
        values["reviewed_at"] = sa.literal(now(), reviews.c.reviewed_at.type)
        source = sa.select(*(values[name].label(name) for name in _COPIED)).select_from(_results_and_reviews)
        self._replace(connection, source.where(results.c.item_id.in_(item_ids)))

    def _replace(self, connection: sa.Connection, source: sa.Select[*tuple[Any, ...]]) -> None:
        """Write the rows of a query, whose columns are those of the table, over those that are there."""
        insert = self._database.insert(reviews).from_select(_COPIED, source)
        own = {name: insert.excluded[name] for name in _COPIED if name != "item_id"}
        connection.execute(insert.on_conflict_do_update(index_elements=[reviews.c.item_id], set_=own))

    def _undo(self, run_id: RunId, action: str, after: int) -> list[ItemId]:
        by_action = sa.select(reviews.c.item_id).where(reviews.c.action == action, reviews.c.run_id == run_id)
        by_action = by_action.where(reviews.c.item_id > after).order_by(reviews.c.item_id).limit(_AT_ONCE)
        with self._database.writing() as connection:
            _lock(connection, run_id)
            chosen = [ItemId(item_id) for item_id in connection.execute(by_action).scalars()]
            if not chosen:
                return []
            before = sa.select(earlier_reviews.c.item_id, sa.func.max(earlier_reviews.c.id).label("id"))
            before = before.where(earlier_reviews.c.item_id.in_(chosen), earlier_reviews.c.replaced_by == action)
            kept = connection.execute(before.group_by(earlier_reviews.c.item_id)).all()
            _keep(connection, chosen, replaced_by=None)
            had_one = {row.item_id for row in kept}
            had_none = [item_id for item_id in chosen if item_id not in had_one]
            connection.execute(sa.delete(reviews).where(reviews.c.item_id.in_(had_none)))
            of_before = earlier_reviews.c.id.in_([row.id for row in kept])
            self._replace(connection, sa.select(*(earlier_reviews.c[name] for name in _COPIED)).where(of_before))
            # They hold again, so they are no earlier ones.
            connection.execute(sa.delete(earlier_reviews).where(of_before))
        return chosen


def take_back_reviews(connection: sa.Connection, item_ids: Sequence[ItemId]) -> None:
    """Move the reviews of items into the earlier ones, inside a transaction that takes their results back."""
    _keep(connection, item_ids, replaced_by=None)
    connection.execute(sa.delete(reviews).where(reviews.c.item_id.in_(item_ids)))


def are(wanted: Wanted) -> sa.ColumnElement[bool]:
    """The condition for items that are so, where each item is joined with its review, if any."""
    match wanted:
        case Wanted.ACCEPTED | Wanted.REJECTED:
            return reviews.c.decision == wanted
        case Wanted.NOT_REJECTED:
            return reviews.c.decision.is_distinct_from(Decision.REJECTED)
        case Wanted.EDITED:
            return reviews.c.answer.is_not(None)
        case Wanted.STARRED:
            return reviews.c.starred.is_(True)
        case Wanted.NONE:
            return sa.and_(reviews.c.decision.is_(None), reviews.c.answer.is_(None))


_results_and_reviews = results.outerjoin(reviews, reviews.c.item_id == results.c.item_id)


def _lock(connection: sa.Connection, run_id: RunId) -> None:
    """Let nobody else review, requeue or delete items of the run before this transaction ends; workers go on."""
    connection.execute(sa.select(runs.c.id).where(runs.c.id == run_id).with_for_update(key_share=True))


def _new(given: GivenReview) -> dict[str, sa.ColumnElement[Any]]:
    """What each column is to hold; what is not given stays."""
    new: dict[str, sa.ColumnElement[Any]] = dict(_OLD)
    if "decision" in given:
        new["decision"] = sa.literal(given["decision"], sa.String())
    if "answer" in given:
        written = None if given["answer"] is None else storable(given["answer"])
        text = sa.literal(written, sa.Text())
        # Who writes what the model has written has edited nothing.
        new["answer"] = text if written is None else sa.func.nullif(text, results.c.answer)
    if "starred" in given:
        new["starred"] = sa.literal(given["starred"], sa.Boolean())
    if "note" in given:
        new["note"] = sa.literal(storable(given["note"]), sa.Text())
    return new


_OLD = {
    "decision": reviews.c.decision,
    "answer": reviews.c.answer,
    "starred": sa.func.coalesce(reviews.c.starred, sa.false()),
    "note": sa.func.coalesce(reviews.c.note, ""),
}


def _changing(given: GivenReview, new: Mapping[str, sa.ColumnElement[Any]], action: str) -> sa.Select[int, datetime]:
    """Selects results of which something else is said already, or nothing."""
    differs = (new[name].is_distinct_from(_OLD[name]) for name in given)
    undone = sa.exists().where(earlier_reviews.c.item_id == results.c.item_id, earlier_reviews.c.action == action)
    query = sa.select(results.c.item_id, results.c.finished_at).select_from(_results_and_reviews)
    query = query.where(sa.or_(*differs), reviews.c.action.is_distinct_from(action), sa.not_(undone))
    return query.order_by(results.c.item_id)


def _is_seen(row: sa.Row[int, datetime], seen: Seen | None) -> bool:
    if seen is None:
        return True
    if isinstance(seen, datetime):
        return row.finished_at <= seen
    return seen.get(row.item_id) == row.finished_at


def _keep(connection: sa.Connection, item_ids: Sequence[ItemId], *, replaced_by: str | None) -> None:
    """Copy reviews that are about to be replaced."""
    replaced = sa.literal(now(), earlier_reviews.c.replaced_at.type), sa.literal(replaced_by, sa.String())
    copied = sa.select(*(reviews.c[name] for name in _COPIED), *replaced).where(reviews.c.item_id.in_(item_ids))
    insert = sa.insert(earlier_reviews).from_select(
        [*_COPIED, "replaced_at", "replaced_by"], copied.order_by("item_id")
    )
    connection.execute(insert)


def _review(row: sa.Row[*tuple[Any, ...]], *, replaced_at: datetime | None = None) -> Review:
    return Review(
        item_id=ItemId(row.item_id),
        decision=None if row.decision is None else Decision(row.decision),
        answer=row.answer,
        starred=row.starred,
        note=row.note,
        reviewer=row.reviewer,
        reviewed_at=row.reviewed_at,
        action=row.action,
        replaced_at=replaced_at,
    )
