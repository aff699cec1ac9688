"""The flags of items: written and taken back with their results, and counted for each run."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.flags import Finding, Flag
from persqa.items import ItemId
from persqa.runs import RunId
from persqa.store.counters import add_up
from persqa.store.evidence import flag_counters, flags
from persqa.store.schema import results
from persqa.store.text import row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persqa.store.database import Database

#: So many keys for each that is wanted are still read as one range.
_NEAR = 4


class Flags:
    """Reads of flags."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, run_ids: Sequence[RunId] | None = None) -> dict[RunId, dict[Flag, int]]:
        """How many items of these runs, or of all, have each flag, the most frequent first; read from the counters."""
        number = flag_counters.c["items"]
        query = sa.select(flag_counters.c.run_id, flag_counters.c.flag, number).where(number > 0)
        if run_ids is not None:
            query = query.where(flag_counters.c.run_id.in_(run_ids))
        found: defaultdict[RunId, dict[Flag, int]] = defaultdict(dict)
        with self._database.reading() as connection:
            for run_id, flag, items in connection.execute(query.order_by(number.desc(), flag_counters.c.flag)):
                found[RunId(run_id)][Flag(flag)] = items
        return dict(found)

    def of(self, item_ids: Sequence[ItemId]) -> dict[ItemId, tuple[Finding, ...]]:
        """The flags of some items; items without any are left out."""
        with self._database.reading() as connection:
            return findings_of_items(connection, sorted(item_ids))


def count_flags(database: Database, connection: sa.Connection, changes: Counter[tuple[int, str]]) -> None:
    """Add to the counters, by run and flag; call it last in a transaction, since others wait for the commit."""
    add_up(database, connection, flag_counters.c.flag, changes)


def insert_flags(
    database: Database, connection: sa.Connection, rows: Iterable[dict[str, object]]
) -> Counter[tuple[int, str]]:
    """Add rows of flags, in whatever order; returns what is new, for the counters. An item keeps what it has."""
    # In key order, against deadlocks.
    ordered = sorted(rows, key=lambda row: (row["item_id"], row["flag"]))
    if not ordered:
        return Counter()
    insert = database.insert(flags).on_conflict_do_nothing().returning(flags.c.run_id, flags.c.flag)
    return Counter((int(run), str(flag)) for run, flag in connection.execute(insert, ordered))


def findings_of_items(connection: sa.Connection, item_ids: Sequence[ItemId]) -> dict[ItemId, tuple[Finding, ...]]:
    """The flags of items that are given in order; items without any are left out."""
    if not item_ids:
        return {}
    query = sa.select(flags).order_by(flags.c.item_id, flags.c.flag)
    # Near each other, they are read as a range: a list of keys is slower to look up.
    if item_ids[-1] - item_ids[0] < _NEAR * len(item_ids):
        query = query.where(flags.c.item_id.between(item_ids[0], item_ids[-1]))
    else:
        query = query.where(flags.c.item_id.in_(item_ids))
    found: defaultdict[ItemId, list[Finding]] = defaultdict(list)
    for row in connection.execute(query):
        found[ItemId(row.item_id)].append(Finding(Flag(row.flag), row.score, row.start, row.end))
    return {item_id: tuple(findings) for item_id, findings in found.items()}


def flag_row(item_id: ItemId, run_id: RunId, finding: Finding) -> dict[str, object]:
    """A finding as a row."""
    return {"item_id": item_id, "run_id": run_id, **row_of(finding)}


def take_out_flags(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Counter[tuple[int, str]]:
    """Delete rows of flags; returns what that means for the counters.

    The results of these items are locked before, or else another transaction may add flags unseen.
    """
    gone = connection.execute(sa.delete(flags).where(which).returning(flags.c.run_id, flags.c.flag))
    return Counter({key: -number for key, number in Counter((int(run), str(flag)) for run, flag in gone).items()})


def flags_as_json(connection: sa.Connection) -> sa.ScalarSelect[Any]:
    """The flags of a row of `results` as a JSON list of objects; NULL where it has none."""
    of_item = sa.select(flags).where(flags.c.item_id == results.c.item_id).order_by(flags.c.flag)
    of_item = of_item.correlate(results).subquery()
    pairs: list[Any] = []
    for name in ("flag", "score", "start", "end"):
        pairs += [sa.literal_column(f"'{name}'"), of_item.c[name]]
    if connection.dialect.name == "sqlite":
        listed = sa.func.nullif(sa.func.json_group_array(sa.func.json_object(*pairs)), "[]")
    else:
        listed = sa.cast(sa.func.json_agg(sa.func.json_build_object(*pairs)), sa.Text)
    return sa.select(listed).select_from(of_item).scalar_subquery()


def findings_of(text: str | None) -> tuple[Finding, ...]:
    """The flags that `flags_as_json` has written."""
    found: list[dict[str, Any]] = [] if text is None else json.loads(text)
    return tuple(Finding(Flag(one["flag"]), one["score"], one["start"], one["end"]) for one in found)
