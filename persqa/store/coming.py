"""The tables of work that keeps coming: the keys of added records, what was replaced, and the order of ending."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from persqa.store.schema import KEY, UtcDateTime, metadata


def _of_run() -> Column[int]:
    return Column("run_id", KEY, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)


# By which key each record of an open run was added, and with which content: both as digests of 32 hexadecimal digits.
record_keys = Table(
    "record_keys",
    metadata,
    _of_run(),
    Column("key", String(32), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("content", String(32), nullable=False),
    sqlite_with_rowid=False,
)

# Records whose place another one of the same key has taken, as they were.
earlier_records = Table(
    "earlier_records",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("run_id", KEY, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
    # That of its first item, whose earlier results have it, too.
    Column("requeues", Integer, nullable=False),
    Column("replaced_at", UtcDateTime, nullable=False),
    Index(None, "run_id", "position"),
)

# In which order the items of a run have ended, from 1 (see numbering.py). A number counts as long as its item has so
# many requeues.
endings = Table(
    "endings",
    metadata,
    _of_run(),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", KEY, nullable=False),
    Column("requeues", Integer, nullable=False),
    # Each row is in one tree then, and not in a second one for the key.
    sqlite_with_rowid=False,
)
