"""Endings: the items of a run in the order in which they end, page by page behind a cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.errors import SettingsError
from persqa.items import ItemId
from persqa.pairs import Ending
from persqa.store.coming import endings
from persqa.store.counters import progresses
from persqa.store.database import Database
from persqa.store.news import FileNews, News
from persqa.store.pair_rows import PAIR_COLUMNS, PAIRS, chosen_by, pair_row, with_flags
from persqa.store.runs import gone
from persqa.store.schema import items, results, reviews, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.pairs import Flagged, PairRow
    from persqa.progress import Progress
    from persqa.reviews import Wanted
    from persqa.runs import Run, RunId

#: Rows, and numbers, that are read at once.
_ROWS_AT_ONCE = 1000
_NUMBERS_AT_ONCE = 10_000

#: As an item has ended, that is, with the result that it still has.
_ENDED = (
    sa.select(*PAIR_COLUMNS, endings.c.number.label("cursor"))
    .select_from(endings)
    .join(items, sa.and_(items.c.id == endings.c.item_id, items.c.requeues == endings.c.requeues))
    .join(results, results.c.item_id == items.c.id)
    .outerjoin(reviews, reviews.c.item_id == items.c.id)
    .order_by(endings.c.number)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What has ended behind a cursor, as of one moment.

    Attributes:
        rows: the items.
        cursor: behind what the next page begins; there may be no row of this number, as others were asked for.
        last: whether there was nothing more at that moment.
        progress: of the run, at the same moment.
    """

    rows: list[Ending]
    cursor: int
    last: bool
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Which items of a run have ended behind a cursor, as of one moment; the next ones are behind `cursor`."""

    items: list[ItemId]
    cursor: int


class Endings:
    """The order in which the items of runs end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(  # noqa: PLR0913 - one parameter a filter
        self,
        run: Run,
        after: int,
        *,
        status: str | None = None,
        question: str | None = None,
        item: ItemId | None = None,
        review: Wanted | None = None,
        flagged: Flagged | None = None,
    ) -> Page:
        """The items that have ended behind a cursor; the parameters are those of `Queries.pairs`.

        An item that was requeued meanwhile is left out: it ends again, behind all others.

        Raises:
            RunNotFound: the run is gone.
            SettingsError: the run has had no such cursor.
        """
        which = chosen_by(status=status, question=question, item=item, review=review, flagged=flagged)
        with self._database.reading() as connection:
            if (progress := progresses(connection, runs.c.id == run.id).get(run.id)) is None:
                raise gone(run)
            last = self._last(connection, run.id)
            if after > last:
                said = f"the run {run.name!r} has had {last} endings so far, and so no cursor {after}"
                raise SettingsError(f"{said}: a cursor is of one run, in one database")
            # Numbers have no gaps.
            to = min(after + _ROWS_AT_ONCE, last)
            query = _ENDED.where(endings.c.run_id == run.id, endings.c.number > after, endings.c.number <= to, *which)
            found = with_flags(connection, connection.execute(query).mappings().all()) if to > after else []
        return Page(rows=[pair_row(row, run, Ending) for row in found], cursor=to, last=to == last, progress=progress)

    def numbers(self, run_id: RunId, after: int) -> Numbers:
        """The items that have ended behind a cursor, at most some thousand of them; each as often as it has ended."""
        query = sa.select(endings.c.number, endings.c.item_id).order_by(endings.c.number)
        query = query.where(endings.c.run_id == run_id, endings.c.number > after).limit(_NUMBERS_AT_ONCE)
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        return Numbers(items=[ItemId(row.item_id) for row in found], cursor=found[-1].number if found else after)

    def ended(self, run: Run, item_ids: Sequence[ItemId]) -> tuple[int, list[PairRow]]:
        """The cursor of the last ending of the run, and those of these items that have ended until then.

        Raises:
            RunNotFound: the run is gone.
        """
        query = PAIRS.where(results.c.item_id.is_not(None))
        ordered, rows = sorted(item_ids), list[dict[str, Any]]()
        with self._database.reading() as connection:
            if connection.execute(sa.select(runs.c.id).where(runs.c.id == run.id)).first() is None:
                raise gone(run)
            last = self._last(connection, run.id)
            for start in range(0, len(ordered), _ROWS_AT_ONCE):
                some = query.where(items.c.id.in_(ordered[start : start + _ROWS_AT_ONCE]))
                rows += with_flags(connection, connection.execute(some).mappings().all())
        return last, [pair_row(row, run) for row in rows]

    def news(self, run_id: RunId) -> News:
        """What tells when an item of the run may have ended; close it in the end."""
        if self._database.file is not None:
            return FileNews(self._database.file)
        # Who looks at a file does not wait for the driver of a server.
        from persqa.store.server_news import ServerNews

        return ServerNews(self._database, run_id)

    def _last(self, connection: sa.Connection, run_id: RunId) -> int:
        last = sa.select(sa.func.coalesce(sa.func.max(endings.c.number), 0)).where(endings.c.run_id == run_id)
        return connection.execute(last).scalar_one()
