"""Reuse: answers of one run become results of another, where both ask the same; each is given once."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import fields
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.clock import now
from persqa.flags import RUN_FLAGS, Finding, Flag
from persqa.generations import FinishReason
from persqa.items import MAX_ITEMS, ItemId
from persqa.policies import Rung
from persqa.results import Outcome, Result, Status, Violation
from persqa.runs import RunId
from persqa.store.evidence import flags, picture_hashes
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

    def outcomes(self, connection: sa.Connection, taken: Mapping[ItemId, ItemId]) -> list[Outcome]:
        """The answers as outcomes of their new items, read in the transaction that adds these.

        An answer that the source has lost meanwhile, by a requeue or a deletion, is none: its item stays pending.
        """
        if not taken:
            return []
        to = {source: item for item, source in taken.items()}
        found = sa.select(results, picture_hashes.c.hash).where(results.c.item_id.in_(to), _ANSWERED)
        found = found.outerjoin(picture_hashes, picture_hashes.c.item_id == results.c.item_id)
        broken, findings = _violations(connection, to), _findings(connection, to)
        outcomes: list[Outcome] = []
        for row in connection.execute(found).mappings():
            source, result = ItemId(row["item_id"]), self._result(row, to)
            outcomes.append(Outcome(result, tuple(broken[source]), (), tuple(findings[source]), row["hash"]))
        self.used += len(outcomes)
        return outcomes

    def _result(self, row: sa.RowMapping, to: Mapping[ItemId, ItemId]) -> Result:
        source = ItemId(row["item_id"])
        own: dict[str, Any] = {
            **_enums(row),
            "item_id": to[source],
            "run_id": RunId(to[source] // MAX_ITEMS),
            "detail": f"answered as item {source} of the run {self._source.name}",
            # No worker ended it here, so it is no part of this run's rate.
            "worker": None,
            "finished_at": now(),
        }
        return Result(**{field.name: own[field.name] for field in fields(Result)})


def _violations(connection: sa.Connection, to: Mapping[ItemId, ItemId]) -> defaultdict[ItemId, list[Violation]]:
    query = sa.select(violations).where(violations.c.item_id.in_(to)).order_by(violations.c.id)
    found: defaultdict[ItemId, list[Violation]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        own: dict[str, Any] = {name: value for name, value in _enums(row).items() if name != "id"}
        own |= {"item_id": to[row["item_id"]], "run_id": RunId(to[row["item_id"]] // MAX_ITEMS)}
        found[row["item_id"]].append(Violation(**own))
    return found


def _findings(connection: sa.Connection, to: Mapping[ItemId, ItemId]) -> defaultdict[ItemId, list[Finding]]:
    """What was noted of an answer and its picture; what only a run as a whole shows is found anew."""
    query = sa.select(flags).where(flags.c.item_id.in_(to), flags.c.flag.not_in(RUN_FLAGS))
    found: defaultdict[ItemId, list[Finding]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["item_id"]].append(Finding(Flag(row["flag"]), row["score"], row["start"], row["end"]))
    return found


def _enums(row: sa.RowMapping) -> dict[str, Any]:
    """The row, with its words as the words that code compares them with; what is stored stays the same."""
    read: dict[str, Any] = dict(row)
    for name, enum in (("status", Status), ("rung", Rung), ("finish_reason", FinishReason)):
        if read.get(name) is not None:
            read[name] = enum(read[name])
    return read


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
