"""Comparing: what tells which items of two runs are the same, and what both say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.items import MAX_ITEMS, ItemId
from persqa.questions import TAG_FIELD
from persqa.store.database import Database
from persqa.store.schema import items, items_and_results, results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.runs import RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One item as a comparison shows it.

    Attributes:
        pictures: how many it has.
        status: None without a result.
        rung: of the answer.
    """

    item_id: ItemId
    pictures: int
    tag: str
    question: str
    status: str | None
    reason: str | None
    answer: str | None
    rung: str | None


class Comparing:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self, run_id: RunId, after: int, limit: int) -> list[tuple[int, int]]:
        """Keys of the next items behind an index, with their indexes, in order.

        A key has 64 bits and is never 0. For as long as this program runs, it is the same for items of this database
        with the same record and the same question, whatever their tags.
        """
        low = run_id * MAX_ITEMS
        # A record may be megabytes: SQLite gives one at a time, and PostgreSQL a digest in place of it.
        record = items.c.record if self._database.is_sqlite else sa.func.md5(items.c.record)
        template = sa.func.replace(items.c.question, items.c.tag, TAG_FIELD)
        query = (
            sa.select(items.c.id, record, template)
            .where(items.c.id > low + after, items.c.id < low + MAX_ITEMS)
            .order_by(items.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            found = connection.execute(query)
            return [(item - low, hash((content, question)) or 1) for item, content, question in found]

    def sides(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Side]:
        """What is shown of items; those that are gone are left out."""
        query = sa.select(
            items.c.id,
            items.c.images,
            items.c.tag,
            items.c.question,
            results.c.status,
            results.c.reason,
            results.c.answer,
            results.c.rung,
        )
        chosen = query.select_from(items_and_results).where(items.c.id.in_(item_ids))
        with self._database.reading() as connection:
            rows = connection.execute(chosen).all()
        return {
            ItemId(item): Side(
                item_id=ItemId(item),
                pictures=len(json.loads(images)),
                tag=tag,
                question=question,
                status=status,
                reason=reason,
                answer=answer,
                rung=rung,
            )
            for item, images, tag, question, status, reason, answer, rung in rows
        }

    def answers(self, item_ids: Sequence[ItemId]) -> dict[ItemId, str]:
        """The answers of a few items; those without one are left out."""
        query = sa.select(results.c.item_id, results.c.answer)
        chosen = query.where(results.c.item_id.in_(item_ids), results.c.answer.is_not(None))
        with self._database.reading() as connection:
            return {ItemId(item): answer for item, answer in connection.execute(chosen)}
