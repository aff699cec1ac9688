"""Storing evidence with its outcomes; among it is whether the run has the same picture with an earlier record.

Several workers store at once, in whatever order. So an item is also flagged later, when an earlier record turns out to
have its picture: in the end each record is flagged but the first one with a picture.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.flags import Finding, Flag
from persqa.items import ItemId
from persqa.runs import RunId
from persqa.store.evidence import flags, picture_hashes
from persqa.store.flags import flag_row, insert_flags
from persqa.store.schema import items, results

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from persqa.results import Outcome
    from persqa.store.database import Database

#: The first part of the name of PostgreSQL's lock on the pictures of a run; any number will do that never changes.
_ADVISORY_LOCK = 73_772
#: The second part has 31 bits.
_MOST_LOCKS = 2**31
_SEEN_BEFORE = Finding(Flag.SEEN_BEFORE, 1.0)


def insert_evidence(
    database: Database, connection: sa.Connection, written: Sequence[Outcome]
) -> Counter[tuple[int, str]]:
    """Store the flags and hashes of outcomes whose results were just written; returns what that means for counters."""
    found = (
        flag_row(outcome.result.item_id, outcome.result.run_id, finding)
        for outcome in written
        for finding in outcome.findings
    )
    hashes = [
        {"item_id": outcome.result.item_id, "run_id": outcome.result.run_id, "hash": outcome.picture_hash}
        for outcome in written
        if outcome.picture_hash is not None
    ]
    return insert_flags(database, connection, chain(found, _seen_before(database, connection, hashes)))


def _seen_before(
    database: Database, connection: sa.Connection, hashes: Sequence[dict[str, int]]
) -> Iterator[dict[str, object]]:
    """Store hashes; gives the flags of these items, and of stored ones that have turned out to be later ones."""
    if not hashes:
        return
    insert = database.insert(picture_hashes)
    anew = {"hash": insert.excluded.hash}
    connection.execute(insert.on_conflict_do_update(index_elements=[picture_hashes.c.item_id], set_=anew), hashes)
    if not database.is_sqlite:
        # Of two transactions with the same picture, the second one has to see what the first one has written.
        for run_id in sorted({row["run_id"] for row in hashes}):
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK, run_id % _MOST_LOCKS)))
    groups = connection.execute(_GROUPS, {"item_ids": [row["item_id"] for row in hashes]}).all()
    shared = [row for row in groups if row.first != row.last]
    if not shared:
        return
    either = {item_id for row in shared for item_id in (row.item_id, row.first)}
    query = sa.select(items.c.id, items.c.position).where(items.c.id.in_(either))
    position = {row.id: row.position for row in connection.execute(query)}
    later = {row.item_id: row.run_id for row in shared if position[row.item_id] != position[row.first]}
    if firsts := [row.item_id for row in shared if row.item_id == row.first]:
        later |= {row.item_id: row.run_id for row in connection.execute(_LATER, {"firsts": firsts})}
    for item_id, run_id in later.items():
        yield flag_row(ItemId(item_id), RunId(run_id), _SEEN_BEFORE)


_other = picture_hashes.alias("other")


def _of_same(end: sa.ColumnElement[int]) -> sa.ScalarSelect[int]:
    same = _other.c.run_id == picture_hashes.c.run_id, _other.c.hash == picture_hashes.c.hash
    return sa.select(end).where(*same).scalar_subquery()


#: The first and the last item with the picture of each of these.
_GROUPS = sa.select(
    picture_hashes.c.item_id,
    picture_hashes.c.run_id,
    _of_same(sa.func.min(_other.c.item_id)).label("first"),
    _of_same(sa.func.max(_other.c.item_id)).label("last"),
).where(picture_hashes.c.item_id.in_(sa.bindparam("item_ids", expanding=True)))

_own, _first = items.alias("own"), items.alias("first")
#: The items of other records with the picture of one of these, and not flagged yet. They are locked, or else somebody
#: takes them back unseen.
_LATER = (
    sa.select(_other.c.item_id, _other.c.run_id)
    .select_from(picture_hashes)
    .join(_other, sa.and_(_other.c.run_id == picture_hashes.c.run_id, _other.c.hash == picture_hashes.c.hash))
    .join(_own, _own.c.id == _other.c.item_id)
    .join(_first, _first.c.id == picture_hashes.c.item_id)
    .join(results, results.c.item_id == _other.c.item_id)
    .where(
        picture_hashes.c.item_id.in_(sa.bindparam("firsts", expanding=True)),
        _own.c.position != _first.c.position,
        ~sa.exists().where(flags.c.item_id == _other.c.item_id, flags.c.flag == Flag.SEEN_BEFORE),
    )
    .order_by(_other.c.item_id)
    .with_for_update(read=True, key_share=True, of=results)
)
