"""Connections to SQLite and PostgreSQL, set up so that a commit that returned is on disk."""

from __future__ import annotations

import time
from contextlib import contextmanager
from sqlite3 import OperationalError
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event, exc

from persqa.errors import RowRefused, SettingsError, StoreUnavailable
from persqa.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Generator
    from sqlite3 import Connection as SqliteConnection

    from sqlalchemy.dialects import postgresql, sqlite

#: Longest waits for SQLite's lock, and for a connection to PostgreSQL.
_SQLITE_LOCK_SECONDS = 30
_CONNECT_SECONDS = 5
_SQLITE_POLL_SECONDS = 0.05
#: For libpq: a host that has vanished is noticed within seconds and not within hours.
_NOTICE_LOST_HOST = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
#: PostgreSQL's error classes about rows: bad data, broken constraints, errors raised by triggers, sizes.
_STATES_OF_DATA = ("22", "23", "44", "54", "P0001")
_READ_ONLY = "25006"
_END_IF_IDLE = "SET LOCAL idle_in_transaction_session_timeout = '30s'"


class Database:
    """One database; every read and write of the project goes through `reading` or `writing`."""

    def __init__(self, url: str, *, connections: int | None = None) -> None:
        """Prepare, without connecting.

        Args:
            url: the database.
            connections: most connections open at once; None for SQLAlchemy's own limit, which is 15. Who has waited
                30 s for a free one gets StoreUnavailable.

        Raises:
            SettingsError: the URL names no database PersQA can use.
        """
        self.url = url
        self._engine = _engine(url, {} if connections is None else {"pool_size": connections, "max_overflow": 0})
        # SQLite reads a snapshot by itself, PostgreSQL has to be told.
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reader = self._engine.execution_options(persqa_reading=True, **level)
        if self.is_sqlite:
            event.listen(self._engine, "connect", _set_pragmas)
            event.listen(self._engine, "begin", _begin)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite and not PostgreSQL."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Generator[sa.Connection]:
        """A connection for reading only; it sees the database as of one moment.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with _translated(self.url), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[sa.Connection]:
        """A connection whose transaction is committed at the end, or rolled back on an error.

        Raises:
            StoreUnavailable: the database does not answer.
            RowRefused: it answers, and will not take this data.
        """
        with _translated(self.url), self._engine.begin() as connection:
            if not self.is_sqlite:
                # If this host vanished in a transaction, its locks would block all others for hours.
                connection.exec_driver_sql(_END_IF_IDLE)
            yield connection

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


def _engine(url: str, pool: dict[str, int]) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise SettingsError(f"PERSQA_DATABASE_URL is no database URL: {without_password(url)}") from None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database not in (None, "", ":memory:"):
            return sa.create_engine(parsed, connect_args={"timeout": _SQLITE_LOCK_SECONDS}, **pool)
        case "postgresql" | "postgres":
            parsed = parsed.set(drivername="postgresql+psycopg")
            # PgBouncer gives every transaction another connection, on which nothing of the last one is prepared.
            ours = {"connect_timeout": _CONNECT_SECONDS, "application_name": "persqa", "prepare_threshold": None}
            engine = sa.create_engine(
                parsed, pool_pre_ping=True, pool_recycle=1800, connect_args=ours | _NOTICE_LOST_HOST, **pool
            )
            event.listen(engine, "handle_error", _leave_standby)
            return engine
        case _:
            message = "use sqlite:///file.db or postgresql://user@host/name"
            raise SettingsError(f"PERSQA_DATABASE_URL: {message}, not {without_password(url)}")


def _set_pragmas(connection: SqliteConnection, _record: object) -> None:
    # `_begin` begins transactions explicitly: the driver itself begins them too late to be safe.
    connection.isolation_level = None
    _set_wal(connection)
    # With NORMAL, a power failure may lose commits whose messages were acknowledged.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _set_wal(connection: SqliteConnection) -> None:
    """When several processes open a new database at once, SQLite refuses all but one without waiting."""
    until = time.monotonic() + _SQLITE_LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_SQLITE_POLL_SECONDS)
        else:
            return


def _begin(connection: sa.Connection) -> None:
    # A writer that begins as a reader fails at once if another one wrote in between; IMMEDIATE waits instead.
    reading = connection.get_execution_options().get("persqa_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _translated(url: str) -> Generator[None]:
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError) as error:
        if isinstance(error, exc.DBAPIError) and _speaks_of_data(error):
            raise RowRefused(f"the database refused the data: {_first_line(error)}") from error
        # Failures that only people can mend, such as missing privileges, are waited out as well.
        raise StoreUnavailable(f"the database {without_password(url)} failed: {_first_line(error)}") from error
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
