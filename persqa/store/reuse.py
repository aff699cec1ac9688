"""Reuse: answers of one run become results of another, where both ask the same; each is given once."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.clock import now
from persqa.items import MAX_ITEMS, ItemId
from persqa.results import Status
from persqa.store.counters import count
from persqa.store.schema import items, results, violations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from persqa.runs import Run
    from persqa.store.database import Database

_CHUNK = 5000
#: What was asked and answered; other results say nothing of the question.
_ANSWERED = results.c.status.in_([Status.OK, Status.NONCOMPLIANT])
#: What makes two items ask the same, beside the options of their runs.
_ASKED = (items.c.record, items.c.images, items.c.tag, items.c.question)


class Reuse:
    """The answers of one run, taken in the input's order, so that a repetition takes the same ones.

    Only for one transaction at a time.
    """

    def __init__(self, database: Database, source: Run) -> None:
        """Read what the items with an answer ask: 100 bytes or so of memory for each.

        Args:
            database: that of both runs.
            source: the run with the answers. Whoever makes this has seen that both runs have the same options.
        """
        self._source = source
        self._left: defaultdict[bytes, deque[ItemId]] = defaultdict(deque)
        #: How many answers the other run got.
        self.used = 0
        for item_id, *asked in _answered(database, source):
            self._left[_key(asked)].append(ItemId(item_id))

    def take(self, rows: Iterable[Mapping[str, object]]) -> dict[ItemId, ItemId]:
        """For these items, as rows of the ledger, the items of the source with their answers.

        Call it for every item of the run, in order, also for those that are in the ledger already.
        """
        taken: dict[ItemId, ItemId] = {}
        for row in rows:
            if left := self._left.get(_key(str(row[column.name]) for column in _ASKED)):
                taken[ItemId(int(str(row["id"])))] = left.popleft()
        return taken

    def copy(self, database: Database, connection: sa.Connection, taken: Mapping[ItemId, ItemId]) -> None:
        """Copy the answers, in the transaction that adds the items: whoever sees these sees their results.

        An answer that the source has lost meanwhile, by a requeue or a deletion, is none: its item stays pending.
        """
        if not taken:
            return
        to = {source: item for item, source in taken.items()}
        found = sa.select(results).where(results.c.item_id.in_(to), _ANSWERED)
        rows = [self._own(row, to) for row in connection.execute(found).mappings()]
        if not rows:
            return
        connection.execute(sa.insert(results), rows)
        there = {row["item_id"] for row in rows}
        sources = [source for source, item in to.items() if item in there]
        broken = sa.select(violations).where(violations.c.item_id.in_(sources)).order_by(violations.c.id)
        if copies := [_violation(row, to) for row in connection.execute(broken).mappings()]:
            connection.execute(sa.insert(violations), copies)
        count(database, connection, Counter((row["run_id"], str(row["status"])) for row in rows))
        self.used += len(rows)

    def _own(self, row: sa.RowMapping, to: Mapping[ItemId, ItemId]) -> dict[str, Any]:
        source = ItemId(row["item_id"])
        return {
            **row,
            "item_id": to[source],
            "run_id": to[source] // MAX_ITEMS,
            "detail": f"answered as item {source} of the run {self._source.name}",
            # No worker ended it here, so it is no part of this run's rate.
            "worker": None,
            "finished_at": now(),
        }


def _answered(database: Database, source: Run) -> Iterator[tuple[Any, ...]]:
    """Each item with an answer, and what it asks, in the input's order."""
    after = source.id * MAX_ITEMS - 1
    query = sa.select(items.c.id, *_ASKED).join(results, results.c.item_id == items.c.id).where(_ANSWERED)
    query = query.where(items.c.id > sa.bindparam("after"), items.c.id < (source.id + 1) * MAX_ITEMS)
    while True:
        with database.reading() as connection:
            rows = connection.execute(query.order_by(items.c.id).limit(_CHUNK), {"after": after}).all()
        yield from map(tuple, rows)
        if len(rows) < _CHUNK:
            return
        after = rows[-1][0]


def _key(asked: Iterable[str]) -> bytes:
    digest = blake2b(digest_size=16)
    for text in asked:
        digest.update(f"{len(text)}:{text}".encode(errors="surrogatepass"))
    return digest.digest()


def _violation(row: sa.RowMapping, to: Mapping[ItemId, ItemId]) -> dict[str, Any]:
    own = to[ItemId(row["item_id"])]
    return {name: value for name, value in row.items() if name != "id"} | {"item_id": own, "run_id": own // MAX_ITEMS}
