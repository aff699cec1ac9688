"""Items as rows of the ledger, and back; as text, as PostgreSQL and SQLite both have it."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, cast

from persqa.items import Item, ItemId
from persqa.runs import RunId
from persqa.store.schema import items
from persqa.store.text import storable
from persqa.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import sqlalchemy as sa

    from persqa.store.database import Database

#: The columns that a message is made of.
SENT = tuple(
    items.c[name] for name in ("id", "run_id", "position", "slot", "images", "tag", "topic", "question", "requeues")
)
#: The columns that a new item is given, in their order.
STORED = ("id", "run_id", "position", "slot", "record", "images", "tag", "topic", "question", "requeues")
_read = json.JSONDecoder().raw_decode


def row_of_item(item: Item) -> tuple[int | str, ...]:
    """What is stored of a new item, in the order of `STORED`."""
    return (
        item.id,
        item.run_id,
        item.position,
        item.slot,
        item.record,
        f"[{', '.join(encode_basestring_ascii(storable(image)) for image in item.images)}]",
        item.tag,
        storable(item.topic),
        storable(item.question),
        item.requeues,
    )


def insert_items(database: Database, connection: sa.Connection, rows: Sequence[tuple[int | str, ...]]) -> None:
    """Insert rows of `row_of_item`."""
    if rows:
        # In the words of the driver, as SQLAlchemy would do more for each row than the database.
        places = ", ".join(len(STORED) * ("?" if database.is_sqlite else "%s",))
        statement = f"INSERT INTO items ({', '.join(STORED)}) VALUES ({places})"
        connection.exec_driver_sql(statement, list(rows))


def items_of(found: Sequence[object]) -> list[Item]:
    """The items of rows of the columns of `SENT`, without their records."""
    rows = cast("Iterable[tuple[int, int, int, int, str, str, str, str, int]]", found)
    return [
        Item(
            id=ItemId(item_id),
            run_id=RunId(run_id),
            position=position,
            slot=slot,
            record="",
            # As `row_of_item` has written it, so nothing stands before or behind it.
            images=tuple(_read(images)[0]),
            tag=Tag(tag),
            topic=topic,
            question=question,
            requeues=requeues,
        )
        for item_id, run_id, position, slot, images, tag, topic, question, requeues in rows
    ]
