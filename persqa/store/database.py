"""Connections to SQLite and PostgreSQL, set up so that a commit that returned is on disk."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import event, exc

from persqa.errors import RowRefused, SettingsError, StoreUnavailable
from persqa.store.sqlite_files import OpenFile, Unlocked, open_to_look, refuse_unwritable
from persqa.store.sqlite_writing import LOCK_SECONDS, set_pragmas, wait_for_lock
from persqa.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import psycopg
    from sqlalchemy.dialects import postgresql, sqlite

#: Longest waits for a connection to PostgreSQL.
_CONNECT_SECONDS = 5
_LOOK_SECONDS = 3
_GIVE_WAY_SECONDS = 0.05
#: For libpq: a host that has vanished is noticed within seconds and not within hours.
_NOTICE_LOST_HOST = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
#: PostgreSQL's error classes about rows: bad data, broken constraints, errors raised by triggers, sizes.
_STATES_OF_DATA = ("22", "23", "44", "54", "P0001")
_READ_ONLY = "25006"
#: Of a connection that reads without a lock: what it reads.
_UNLOCKED = "persqa_unlocked"
_END_IF_IDLE = "SET LOCAL idle_in_transaction_session_timeout = '30s'"


class Database:
    """One database; every read and write of the project goes through `reading` or `writing`."""

    def __init__(self, url: str, *, connections: int | None = None, looking: bool = False) -> None:
        """Prepare, without connecting.

        Args:
            url: the database.
            connections: most connections open at once; None for SQLAlchemy's own limit, which is 15. Who has waited
                30 s for a free one gets StoreUnavailable.
            looking: for reading only; no file is made or changed, and no right to write is needed.

        Raises:
            SettingsError: the URL names no database PersQA can use.
        """
        self.url = url
        self._url = _parsed(url)
        #: The file of a SQLite database.
        self.file = Path(self._url.database or "").absolute() if self.is_sqlite else None
        if self.file is not None:
            # Also where the process goes to another folder later.
            self._url = self._url.set(database=str(self.file))
        pool = {} if connections is None else {"pool_size": connections, "max_overflow": 0}
        self._engine = (
            self._sqlite_engine(self.file, pool, looking) if self.file else self._postgresql_engine(pool, looking)
        )
        _engines.add(self._engine)
        self._reader = self._engine.execution_options(persqa_reading=True)
        if not self.is_sqlite:
            # SQLite reads a snapshot by itself, PostgreSQL has to be told.
            self._reader = self._reader.execution_options(isolation_level="REPEATABLE READ")
        if not self.is_sqlite and looking:
            self._reader = self._reader.execution_options(postgresql_readonly=True)

    def _sqlite_engine(self, file: Path, pool: dict[str, int], looking: bool) -> sa.Engine:
        if looking:
            # How a file can be read changes with what others do, so each transaction opens it anew.
            engine = sa.create_engine(self._url, poolclass=sa.NullPool)
            event.listen(engine, "do_connect", _open_to_look)
        else:
            engine = sa.create_engine(self._url, connect_args={"timeout": LOCK_SECONDS}, **pool)
            opened = OpenFile(file)
            event.listen(engine, "do_connect", opened.refuse_another)
            event.listen(engine, "connect", opened.note)
            event.listen(engine, "connect", set_pragmas)
            event.listen(engine, "begin", opened.refuse_another)
        event.listen(engine, "begin", _begin)
        return engine

    def _postgresql_engine(self, pool: dict[str, int], looking: bool) -> sa.Engine:
        # PgBouncer gives every transaction another connection, on which nothing of the last one is prepared.
        ours = {"application_name": "persqa", "prepare_threshold": None}
        waits = {"connect_timeout": _LOOK_SECONDS if looking else _CONNECT_SECONDS, **_NOTICE_LOST_HOST}
        engine = sa.create_engine(self._url, pool_pre_ping=True, pool_recycle=1800, connect_args=ours | waits, **pool)
        event.listen(engine, "handle_error", _leave_standby)
        return engine

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite and not PostgreSQL."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def shown(self) -> str:
        """The database as messages name it: which file, or which server."""
        return str(self.file or without_password(self.url))

    @contextmanager
    def reading(self) -> Generator[sa.Connection]:
        """A connection for reading only; it sees the database as of one moment.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with _translated(self.shown), self._reader.begin() as connection:
            unlocked: Unlocked | None = connection.info.get(_UNLOCKED)
            try:
                yield connection
            except exc.DBAPIError:
                # Which may be why.
                self._refuse_mixture(unlocked)
                raise
            self._refuse_mixture(unlocked)

    def _refuse_mixture(self, unlocked: Unlocked | None) -> None:
        if unlocked is not None and unlocked.written:
            raise StoreUnavailable(f"the database {self.shown} was written to while it was read: look again")

    @contextmanager
    def writing(self) -> Generator[sa.Connection]:
        """A connection whose transaction is committed at the end, or rolled back on an error.

        Raises:
            StoreUnavailable: the database does not answer.
            RowRefused: it answers, and will not take this data.
        """
        with _translated(self.shown), self._engine.begin() as connection:
            if not self.is_sqlite:
                # If this host vanished in a transaction, its locks would block all others for hours.
                connection.exec_driver_sql(_END_IF_IDLE)
            yield connection

    def own_connection(self) -> psycopg.Connection[Any]:
        """A connection to PostgreSQL that is in no pool, and begins no transaction by itself; close it in the end.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        pooled = self._engine.raw_connection()
        connection = cast("psycopg.Connection[Any]", pooled.driver_connection)
        pooled.detach()
        connection.autocommit = True
        return connection

    def give_way(self) -> None:
        """Let others write, between two of many transactions: whoever waits for SQLite's lock has to look at times."""
        if self.is_sqlite:
            Event().wait(_GIVE_WAY_SECONDS)

    def prepare(self) -> None:
        """Make sure that it can be written later; nothing to do where it was opened for that."""

    def refuse_unwritable(self) -> None:
        """Raise SettingsError if a look tells that this user could not write it; nothing is made."""
        if self.file is not None:
            refuse_unwritable(self.file)

    def ping(self) -> None:
        """Make sure that the database answers."""
        with self.reading() as connection:
            connection.exec_driver_sql("SELECT 1")

    def insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT of this dialect, which knows ON CONFLICT."""
        if self.is_sqlite:
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def close(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()


def _parsed(url: str) -> sa.URL:
    message = "the database URL: use sqlite:///file.db or postgresql://user@host/name, not"
    refused = SettingsError(f"{message} {without_password(url)!r}")
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise refused from None
    database = parsed.database or ":memory:"
    match parsed.get_backend_name():
        # Neither a database in memory, nor a URI of SQLite's own.
        case "sqlite" if not database.startswith((":memory:", "file:")):
            return parsed
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            raise refused


def _open_to_look(
    _dialect: object, record: sa.pool.ConnectionPoolEntry, arguments: Sequence[str], _options: object
) -> sqlite3.Connection:
    connection, record.info[_UNLOCKED] = open_to_look(Path(arguments[0]))
    return connection


def _begin(connection: sa.Connection) -> None:
    # A writer that begins as a reader fails at once if another one wrote in between; IMMEDIATE waits instead.
    if connection.get_execution_options().get("persqa_reading", False):
        connection.exec_driver_sql("BEGIN")
        return
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    wait_for_lock(driver)
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _translated(shown: str) -> Generator[None]:
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError) as error:
        if isinstance(error, exc.DBAPIError) and _speaks_of_data(error):
            raise RowRefused(f"the database refused the data: {_first_line(error)}") from error
        # Failures that only people can mend, such as missing privileges, are waited out as well.
        raise StoreUnavailable(f"the database {shown} failed: {_first_line(error)}") from error
    except (exc.StatementError, UnicodeError, OverflowError) as error:
        raise RowRefused(f"the data cannot be stored: {_first_line(error)}") from error


def _speaks_of_data(error: exc.DBAPIError) -> bool:
    """Whether the rows of this statement are at fault, so that a repetition would fail, too."""
    state: object = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return not error.connection_invalidated and state.startswith(_STATES_OF_DATA)
    return isinstance(error, exc.DataError | exc.IntegrityError)


def _leave_standby(context: sa.ExceptionContext) -> None:
    """Reconnect when a primary has become a standby: it keeps its connections and refuses to write."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, exc.StatementError) and error.orig is not None else error
    return str(cause).strip().split("\n", 1)[0]


_engines: WeakSet[sa.Engine] = WeakSet()
#: Connections that a fork has copied. They are neither used nor closed here: both would be felt in the parent.
_of_parents: list[object] = []


def _after_fork() -> None:
    """In a child process: begin with connections of one's own."""
    for engine in _engines:
        _of_parents.append(engine.pool)
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
