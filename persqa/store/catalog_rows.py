"""What of a run's rows is kept in memory for the gallery: read in chunks by key, and what has changed since."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from persqa.items import MAX_ITEMS
from persqa.questions import TAG_FIELD
from persqa.records import record_id, stored_record
from persqa.store.catalog_row import CatalogRow, RunMarks
from persqa.store.database import Database
from persqa.store.evidence import flag_counters, flags
from persqa.store.schema import (
    earlier_results,
    earlier_reviews,
    items,
    items_and_results,
    results,
    reviews,
    run_counters,
    runs,
    violations,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from persqa.runs import RunId

#: Longest part of a text that is read, in characters: of a question, and of an answer to tell it from others.
LONGEST_QUESTION = 1000
LONGEST_ANSWER = 2000
#: The largest record that is read for its id, in bytes.
LARGEST_RECORD = 16 * 1024
#: A statement takes at most some ten thousand parameters.
_AT_ONCE = 5000

_Select: TypeAlias = "sa.Select[*tuple[Any, ...]]"


class Snapshot:
    """A run as of one moment, whatever is written meanwhile."""

    def __init__(self, database: Database, connection: sa.Connection, run_id: RunId) -> None:
        self._connection = connection
        self._run_id = run_id
        self._low, self._high = run_id * MAX_ITEMS, (run_id + 1) * MAX_ITEMS
        self._sqlite = database.is_sqlite
        self._row = _selected(sqlite=database.is_sqlite)

    def marks(self) -> RunMarks:
        """How far the run is; the cost does not grow with it, but for its reviews."""
        counted = sa.select(run_counters.c.status, run_counters.c["items"]).where(run_counters.c.run_id == self._run_id)
        flagged = sa.select(flag_counters.c.flag, flag_counters.c["items"])
        flagged = flagged.where(flag_counters.c.run_id == self._run_id)
        own = sa.select(runs.c["items"], runs.c.deleting).where(runs.c.id == self._run_id)
        finished = _seconds(sa.func.max(results.c.finished_at), sqlite=self._sqlite)
        reviewed = _seconds(sa.func.max(reviews.c.reviewed_at), sqlite=self._sqlite)
        once = sa.select(
            sa.select(finished).where(results.c.run_id == self._run_id).scalar_subquery(),
            sa.select(reviewed).where(reviews.c.run_id == self._run_id).scalar_subquery(),
            sa.select(sa.func.max(earlier_results.c.id)).scalar_subquery(),
            sa.select(sa.func.max(earlier_reviews.c.id)).scalar_subquery(),
            sa.select(sa.func.count()).where(reviews.c.run_id == self._run_id).scalar_subquery(),
        )
        run = self._connection.execute(own).one_or_none()
        last_finished, last_reviewed, taken_back, replaced, number = self._connection.execute(once).one()
        return RunMarks(
            counts=dict(self._connection.execute(counted).all()),
            whole=run[0] if run is not None else 0,
            is_going=run is None or bool(run[1]),
            last_finished=last_finished or 0.0,
            last_reviewed=last_reviewed or 0.0,
            taken_back=taken_back or 0,
            replaced=replaced or 0,
            reviews=number,
            flags=dict(self._connection.execute(flagged).all()),
        )

    def chunk(self, after: int, limit: int) -> list[CatalogRow]:
        """The next items behind an index, in order."""
        query = self._row.where(items.c.id > self._low + after, items.c.id < self._high)
        return self._rows(query.order_by(items.c.id).limit(limit))

    def between(self, first: int, last: int) -> list[CatalogRow]:
        """All items with an index from the first to the last, in order."""
        within = items.c.id.between(self._low + first, self._low + last)
        return self._rows(self._row.where(within).order_by(items.c.id))

    def rows(self, item_ids: Sequence[int]) -> list[CatalogRow]:
        """These items, in order, as far as they are there."""
        found: list[CatalogRow] = []
        for some in _slices(sorted(item_ids)):
            found += self._rows(self._row.where(items.c.id.in_(some)).order_by(items.c.id))
        return found

    def kinds(self, rows: Sequence[CatalogRow]) -> list[tuple[int, str]]:
        """The violation kinds of items that were just read in order, with the item of each."""
        return self._words(rows, violations.c.item_id, violations.c.kind)

    def flags(self, rows: Sequence[CatalogRow]) -> list[tuple[int, str]]:
        """The flags of items that were just read in order, with the item of each."""
        return self._words(rows, flags.c.item_id, flags.c.flag)

    def _words(
        self, rows: Sequence[CatalogRow], item_id: sa.ColumnElement[int], word: sa.ColumnElement[str]
    ) -> list[tuple[int, str]]:
        if not rows:
            return []
        query = sa.select(item_id, word)
        first, last = rows[0].item_id, rows[-1].item_id
        # Near each other, they are read as a range: a list of keys is slower to look up.
        if last - first < 4 * len(rows):
            return list(self._connection.execute(query.where(item_id.between(first, last))).all())
        found: list[tuple[int, str]] = []
        for some in _slices([row.item_id for row in rows]):
            found += self._connection.execute(query.where(item_id.in_(some))).all()
        return found

    def ended_since(self, seconds: float) -> list[tuple[int, float]]:
        """The items that ended since a time in seconds, with when they did."""
        since = datetime.fromtimestamp(seconds, UTC)
        finished = _seconds(results.c.finished_at, sqlite=self._sqlite)
        query = sa.select(results.c.item_id, finished)
        query = query.where(results.c.run_id == self._run_id, results.c.finished_at >= since)
        return list(self._connection.execute(query))

    def reviewed_since(self, seconds: float) -> list[tuple[int, float]]:
        """The items that were reviewed since a time in seconds, with when they were."""
        since = datetime.fromtimestamp(seconds, UTC)
        query = sa.select(reviews.c.item_id, _seconds(reviews.c.reviewed_at, sqlite=self._sqlite))
        query = query.where(reviews.c.run_id == self._run_id, reviews.c.reviewed_at >= since)
        return list(self._connection.execute(query))

    def taken_back_after(self, last: int) -> list[tuple[int, int]]:
        """The results that were taken back: the ids of the rows behind this one, with their items."""
        return self._earlier(earlier_results, last)

    def replaced_after(self, last: int) -> list[tuple[int, int]]:
        """The reviews that were replaced: the ids of the rows behind this one, with their items."""
        return self._earlier(earlier_reviews, last)

    def _earlier(self, table: sa.Table, last: int) -> list[tuple[int, int]]:
        query = sa.select(table.c.id, table.c.item_id).where(table.c.id > last, table.c.run_id == self._run_id)
        return list(self._connection.execute(query))

    def numbers(self, first: int, last: int, *, at_once: int) -> dict[tuple[int, str], int]:
        """The items from an index to another, counted by slices of so many indexes, and by status; `pending` for none.

        What it costs grows with the indexes that are asked for, so ask for some of a large run's at a time.
        """
        # Both databases cut what is left of the division of whole numbers; SQLAlchemy would have them not.
        place: sa.ColumnElement[int] = sa.literal_column(f"(items.id - {self._low + first}) / {at_once}", sa.BigInteger)
        status = sa.func.coalesce(results.c.status, "pending")
        query = sa.select(place.label("place"), status.label("status"), sa.func.count())
        query = query.select_from(items_and_results).where(items.c.id.between(self._low + first, self._low + last))
        found = self._connection.execute(query.group_by("place", "status"))
        return {(int(place), status): number for place, status, number in found}

    def reviews_between(self, first: int, last: int) -> list[int]:
        """The items with a review, from an index to another."""
        query = sa.select(reviews.c.item_id).where(reviews.c.item_id.between(self._low + first, self._low + last))
        return list(self._connection.execute(query).scalars())

    def flags_between(self, first: int, last: int) -> list[tuple[int, str]]:
        """The flags of all items from an index to another, with the item of each."""
        query = sa.select(flags.c.item_id, flags.c.flag)
        return list(self._connection.execute(query.where(flags.c.item_id.between(self._low + first, self._low + last))))

    def record_ids(self, after: int, limit: int, *, column: str | None) -> tuple[list[tuple[int, str]], int | None]:
        """What names the next records behind an index; and the last index that was looked at, None at the end.

        Records above `LARGEST_RECORD` are passed over.
        """
        size = sa.func.octet_length(items.c.record)
        if self._sqlite:
            size = sa.func.length(sa.cast(items.c.record, sa.LargeBinary))
        record = sa.case((size <= LARGEST_RECORD, items.c.record), else_=None)
        query = sa.select(items.c.id, items.c.slot, record).where(items.c.id > self._low + after)
        query = query.where(items.c.id < self._high).order_by(items.c.id).limit(limit)
        rows = self._connection.execute(query).all()
        found: list[tuple[int, str]] = []
        for item_id, slot, text in rows:
            name = None if slot or text is None else record_id(stored_record(text), column)
            if name:
                found.append((item_id, name))
        return found, rows[-1][0] - self._low if len(rows) == limit else None

    def _rows(self, query: _Select) -> list[CatalogRow]:
        return list(map(CatalogRow._make, self._connection.execute(query).all()))


class CatalogRows:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def snapshot(self, run_id: RunId) -> Generator[Snapshot]:
        """The run as of one moment.

        Raises:
            StoreUnavailable: the database does not answer, or was written in a way that spoils what was read.
        """
        with self._database.reading() as connection:
            yield Snapshot(self._database, connection, run_id)


def _selected(*, sqlite: bool) -> _Select:
    question = sa.func.substr(sa.func.replace(items.c.question, items.c.tag, TAG_FIELD), 1, LONGEST_QUESTION)
    return sa.select(
        items.c.id,
        results.c.status,
        results.c.reason,
        sa.func.substr(items.c.topic, 1, LONGEST_QUESTION),
        question,
        results.c.model,
        results.c.rung,
        results.c.forced,
        items.c.tag,
        results.c.worker,
        sa.func.substr(results.c.answer, 1, LONGEST_ANSWER),
        sa.func.length(results.c.answer),
        sa.func.substr(items.c.images, 1, LONGEST_ANSWER),
        results.c.image_seconds,
        results.c.engine_seconds,
        _seconds(results.c.finished_at, sqlite=sqlite),
        reviews.c.decision,
        reviews.c.answer.is_not(None),
        reviews.c.starred,
        reviews.c.item_id.is_not(None),
    ).select_from(items_and_results.outerjoin(reviews, reviews.c.item_id == items.c.id))


def _seconds(instant: sa.ColumnElement[Any], *, sqlite: bool) -> sa.ColumnElement[float]:
    """A point in time as seconds since 1970: a number is read several times as fast as a time of Python's."""
    if not sqlite:
        return sa.cast(sa.func.extract("epoch", instant), sa.Double)
    # As text: date, time and six digits behind the point.
    text = sa.type_coerce(instant, sa.Text)
    whole = sa.cast(sa.func.strftime("%s", text), sa.Integer)
    return sa.type_coerce(whole + sa.cast(sa.func.substr(text, 20), sa.Double), sa.Double)


def _slices(item_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(item_ids), _AT_ONCE):
        yield item_ids[start : start + _AT_ONCE]
