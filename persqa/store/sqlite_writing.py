"""Writing to SQLite: how a connection is set up for it, and how it waits for the others who write."""

from __future__ import annotations

import random
import sqlite3
import time

#: Longest wait for the lock of those who write.
LOCK_SECONDS = 30
#: What goes away when others go on; all else stays as it is, however long one waits.
PASSES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_WAL_POLL_SECONDS = 0.05
#: For so long, and so often, a writer looks by itself whether the lock is free.
_EAGER_SECONDS, _EAGER_POLL_SECONDS = 5.0, (0.0005, 0.003)


def set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    """Let no commit that has returned be lost, and begin transactions explicitly."""
    # `_begin` begins transactions explicitly: the driver itself begins them too late to be safe.
    connection.isolation_level = None
    _set_wal(connection)
    # With NORMAL, a power failure may lose commits whose messages were acknowledged.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _set_wal(connection: sqlite3.Connection) -> None:
    """When several processes open a new database at once, SQLite refuses all but one without waiting."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in PASSES or time.monotonic() > until:
                raise
            time.sleep(_WAL_POLL_SECONDS)
        else:
            return


def wait_for_lock(connection: sqlite3.Connection) -> None:
    """Begin a transaction as soon as nobody writes, or not within some time.

    SQLite itself looks less and less often, at last every 100 ms: beside a worker that commits without a pause, whoever
    adds a record would wait for seconds.
    """
    until = time.monotonic() + _EAGER_SECONDS
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < until:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in PASSES:
                    # SQLAlchemy comes upon the same, and knows how to tell it.
                    return
                # In no step with the one who writes.
                time.sleep(random.uniform(*_EAGER_POLL_SECONDS))
            else:
                return
    finally:
        connection.execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")
