"""Pictures of items: their references, and by what those that look the same are found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from persqa.items import MAX_ITEMS
from persqa.store.database import Database
from persqa.store.evidence import picture_hashes
from persqa.store.schema import items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.runs import RunId

_AT_ONCE = 10_000


class Pictured(NamedTuple):
    """The pictures of one item.

    Attributes:
        position: that of its record.
        images: the references.
        hash: the perceptual hash of the first one, if an answer was given.
    """

    position: int
    images: tuple[str, ...]
    hash: int | None


class Pictures:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, run_id: RunId) -> Iterator[Pictured]:
        """Those of all items, in the input's order, read in chunks."""
        after = run_id * MAX_ITEMS - 1
        query = sa.select(items.c.id, items.c.position, items.c.images, picture_hashes.c.hash)
        query = query.select_from(items.outerjoin(picture_hashes, picture_hashes.c.item_id == items.c.id))
        query = query.where(items.c.id > sa.bindparam("after"), items.c.id < (run_id + 1) * MAX_ITEMS)
        query = query.order_by(items.c.id).limit(_AT_ONCE)
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query, {"after": after}).all()
            for row in rows:
                after = row.id
                yield Pictured(row.position, tuple(json.loads(row.images)), row.hash)
            if len(rows) < _AT_ONCE:
                return
