"""Numbering: in which order the items of a run end, as the table `endings` has it.

A number is given under a lock of the run's counters, which is held until the commit. So numbers have no gaps, and they
become visible in their order: who has seen one has seen all lower ones, and whoever goes on behind it misses none.

Who waits for endings is told by PostgreSQL itself (`NOTIFY`). All transactions of a server that tell something commit
one after another, so it is told only where somebody waits: these hold a lock for that time, shared among them, and
whoever commits cannot have it.
"""

from __future__ import annotations

from itertools import count, groupby
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.store.coming import endings
from persqa.store.schema import items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.results import Outcome
    from persqa.store.database import Database

#: The first part of the name of PostgreSQL's lock of those who wait for a run; any number will do that never changes.
_WAITING_LOCK = 73_773
#: The second part has 31 bits.
_MOST_LOCKS = 2**31
#: Items in one statement.
_LOOKUP_CHUNK = 5000

_SQLITE = "INSERT INTO endings (run_id, number, item_id, requeues) VALUES (?, ?, ?, ?)"
_TELL = f"SELECT pg_notify(%(channel)s, '') WHERE NOT pg_try_advisory_xact_lock({_WAITING_LOCK}, %(lock)s)"
# In one statement, as others wait for the lock.
_POSTGRESQL = (
    "WITH numbered AS (INSERT INTO endings (run_id, number, item_id, requeues) "
    "SELECT %(run)s, (SELECT COALESCE(MAX(number), 0) FROM endings WHERE run_id = %(run)s) + one.number, "
    "one.item_id, one.requeues FROM unnest(%(items)s::bigint[], %(requeues)s::int[]) "
    f"WITH ORDINALITY AS one(item_id, requeues, number)) {_TELL}"
)


def number_endings(database: Database, connection: sa.Connection, written: Sequence[Outcome]) -> None:
    """Number what has just ended; call it behind `count`, which takes the lock."""
    requeues = _requeues(connection, written)
    # By run in key order, against deadlocks, and by the clocks of the workers.
    ordered = sorted((one.result.run_id, one.result.finished_at, one.result.item_id) for one in written)
    for run_id, of_run in groupby(ordered, key=lambda one: one[0]):
        item_ids = [item_id for _, _, item_id in of_run]
        if database.is_sqlite:
            last = sa.select(sa.func.coalesce(sa.func.max(endings.c.number), 0)).where(endings.c.run_id == run_id)
            numbers = count(connection.execute(last).scalar_one() + 1)
            rows = [(run_id, number, one, requeues[one]) for number, one in zip(numbers, item_ids, strict=False)]
            connection.exec_driver_sql(_SQLITE, rows)
        else:
            arrays = {"run": run_id, "items": item_ids, "requeues": [requeues[one] for one in item_ids]}
            connection.exec_driver_sql(_POSTGRESQL, arrays | _told(run_id))


def tell(database: Database, connection: sa.Connection, run_id: int) -> None:
    """Wake those who wait for the run, once the transaction is committed; on SQLite they look for themselves."""
    if not database.is_sqlite:
        connection.exec_driver_sql(_TELL, _told(run_id))


def channel_of(run_id: int) -> str:
    """The channel on which those are told who wait for a run."""
    return f"persqa_run_{run_id}"


def lock_of(run_id: int) -> tuple[int, int]:
    """The lock that those hold who wait for a run, as PostgreSQL's functions take it."""
    return _WAITING_LOCK, run_id % _MOST_LOCKS


def _told(run_id: int) -> dict[str, object]:
    return {"channel": channel_of(run_id), "lock": run_id % _MOST_LOCKS}


def _requeues(connection: sa.Connection, written: Sequence[Outcome]) -> dict[int, int]:
    """How often each item has been requeued; those that the outcome does not say are looked up."""
    known = {int(one.result.item_id): one.requeues for one in written}
    unknown = sorted(item_id for item_id, requeues in known.items() if requeues is None)
    found = {item_id: requeues for item_id, requeues in known.items() if requeues is not None}
    for start in range(0, len(unknown), _LOOKUP_CHUNK):
        query = sa.select(items.c.id, items.c.requeues).where(items.c.id.in_(unknown[start : start + _LOOKUP_CHUNK]))
        found |= {row.id: row.requeues for row in connection.execute(query)}
    return found
