"""Opening a database: to look at it, or to write; and a sentence that helps when that fails."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.errors import NoDatabase, PersqaError, SettingsError, StoreUnavailable
from persqa.store.database import Database
from persqa.store.migrate import Schema, inspect, migrate
from persqa.store.sqlite_files import is_there, refuse_strange, refuse_unreadable_beside, refuse_unwritable
from persqa.words import to_type

if TYPE_CHECKING:
    from collections.abc import Generator

#: PostgreSQL's error codes for a right that a role has not, and for writing where only reading is possible.
_NO_RIGHT = "42501"
_READ_ONLY = "25006"
#: What of SQLite's errors a look at the files may explain.
_OF_FILES = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY)
#: What PostgreSQL or its library says about a connection, whether the caller can change that, and what to do.
_CONNECTING = (
    ("password authentication failed", SettingsError, "check the user and the password"),
    ("no password supplied", SettingsError, "give the password, too"),
    ("does not exist", SettingsError, "check the database URL, or have it created"),
    ("no pg_hba.conf entry", SettingsError, "whoever runs the server can let this user in from this machine"),
    ("authentication failed", SettingsError, "check the user"),
    ("permission denied for database", SettingsError, "its owner can grant this role the right to connect"),
    ("SSL was required", SettingsError, "check sslmode in the database URL"),
    ("invalid response", SettingsError, "that is no PostgreSQL server: check host and port in the database URL"),
    ("invalid ", SettingsError, "check the options in the database URL"),
    ("resolve host", StoreUnavailable, "check the host in the database URL, and the network"),
    ("timeout expired", StoreUnavailable, "check the host in the database URL, and the network"),
    ("Connection refused", StoreUnavailable, "check host and port in the database URL, and whether the server runs"),
    ("No such file", StoreUnavailable, "check the host in the database URL, and whether the server runs"),
)
#: Tables that only a database of PersQA has together.
_OURS = frozenset({"runs", "items", "results"})


class LookedAt(Database):
    """A database that is looked at, until somebody writes: then it is made, or brought up to date.

    Looking makes no file, changes no schema and needs no right to write.
    """

    def __init__(self, url: str) -> None:
        """Prepare, without connecting.

        Raises:
            SettingsError: the URL names no database PersQA can use.
        """
        super().__init__(url)
        self._looker = Database(url, looking=True)
        self._lock = threading.Lock()
        self._known = self._open = False

    @contextmanager
    def reading(self) -> Generator[sa.Connection]:
        """A connection for reading only; it sees the database as of one moment.

        Raises:
            NoDatabase: there is none yet.
            SettingsError: it is not one of this PersQA, or this user may not read it.
            StoreUnavailable: the database does not answer.
        """
        if self._open:
            with super().reading() as connection:
                yield connection
            return
        if not self._known:
            _refuse_other_schemas(self._looker)
            self._known = True
        with _explained(self._looker, writing=False), self._looker.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[sa.Connection]:
        """A connection whose transaction is committed at the end, or rolled back on an error.

        Raises:
            SettingsError: this user may not write it, or its schema is not of this PersQA.
            StoreUnavailable: the database does not answer.
            RowRefused: it answers, and will not take this data.
        """
        self._open_to_write()
        with _explained(self, writing=True), super().writing() as connection:
            yield connection

    def prepare(self) -> None:
        """Make sure that it can be written later: bring it up to date, but make no file yet."""
        if self.file is None or is_there(self.file):
            with self.writing():
                pass
        else:
            self.refuse_unwritable()

    def _open_to_write(self) -> None:
        with self._lock:
            if not self._open:
                with closing(Database(self.url)) as database:
                    bring_up_to_date(database)
                self._open = True
                self._looker.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._looker.close()
        super().close()


def look_at_schema(url: str) -> Schema:
    """The schema of a database, as it is found.

    Raises:
        NoDatabase: there is no such file yet.
        SettingsError: it is newer than this PersQA, or another program's; or this user may not read it.
        StoreUnavailable: the database does not answer.
    """
    with closing(Database(url, looking=True)) as looker:
        return _look_at_schema(looker)


def bring_up_to_date(database: Database) -> Schema:
    """Create or upgrade the tables and views; returns the schema as it was found.

    Raises:
        SettingsError: the schema is newer than this PersQA, or it is older and this role may not change it; the file is
            another program's; or this user may not write it.
        StoreUnavailable: the database does not answer.
    """
    if database.file is not None:
        # Tables would be added to another program's, which nobody wants.
        with suppress(NoDatabase, StoreUnavailable):
            look_at_schema(database.url)
    with _explained(database, writing=True):
        return migrate(database)


def _look_at_schema(looker: Database) -> Schema:
    try:
        with _explained(looker, writing=False):
            schema = inspect(looker)
    except SettingsError:
        _refuse_strangers(looker)
        raise
    if schema.found is None and looker.is_sqlite:
        _refuse_strangers(looker)
    return schema


def _refuse_other_schemas(looker: Database) -> None:
    schema = _look_at_schema(looker)
    if schema.found is None:
        seen = "" if looker.is_sqlite else ", or none that this role may see"
        made = f"`{to_type('persqa run INPUT')}` makes them, --database-url names another database"
        raise NoDatabase(f"the database {looker.shown} has no tables of PersQA yet{seen}: {made}")
    if schema.missing:
        older = f"the database {looker.shown} has schema {schema.found}, and this PersQA needs {schema.head}"
        raise SettingsError(f"{older}: run `persqa migrate` as its owner")


def _refuse_strangers(looker: Database) -> None:
    """Refuse a database that has tables, but none of ours."""
    with suppress(StoreUnavailable), looker.reading() as connection:
        tables = sa.inspect(connection).get_table_names()
        if tables and not _OURS.issubset(tables):
            some = ", ".join(sorted(tables)[:3])
            raise SettingsError(
                f"the database {looker.shown} is another program's, with tables such as {some}: "
                "name another with --database-url"
            )


@contextmanager
def _explained(database: Database, *, writing: bool) -> Generator[None]:
    """Let the database's own words be followed by what to do, and by the file or host."""
    try:
        yield
    except StoreUnavailable as error:
        original = getattr(error.__cause__, "orig", None)
        if isinstance(original, sqlite3.Error):
            _refuse_file(database, original, writing=writing)
        elif original is not None and (explained := _of_postgresql(database, original)) is not None:
            raise explained from error
        raise


def _refuse_file(database: Database, error: sqlite3.Error, *, writing: bool) -> None:
    assert database.file is not None
    code = error.sqlite_errorcode & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        refuse_strange(database.file)
    if code in _OF_FILES and writing:
        refuse_unwritable(database.file)
    elif code in _OF_FILES:
        refuse_unreadable_beside(database.file)


def _of_postgresql(database: Database, original: object) -> PersqaError | None:
    said = str(original).strip().split("\n", 1)[0]
    state: object = getattr(original, "sqlstate", None)
    place = f"the database {database.shown}"
    if state == _NO_RIGHT:
        return SettingsError(f"{place}: {said}; its owner can grant this role that right")
    if state == _READ_ONLY and _is_standby(database):
        return StoreUnavailable(f"{place}: {said}; it is a standby, and what it follows can be written")
    if state == _READ_ONLY:
        return SettingsError(f"{place}: {said}; this role may only read, another one can write")
    if state is not None:
        return None
    said = re.sub(r"^.*FATAL: *|^connection (failed|is bad): ", "", said)
    for words, kind, hint in _CONNECTING:
        if words in said:
            return kind(f"{place} cannot be opened: {said}; {hint}")
    return None


def _is_standby(database: Database) -> bool:
    with (
        suppress(StoreUnavailable),
        closing(Database(database.url, looking=True)) as looker,
        looker.reading() as connection,
    ):
        return bool(connection.execute(sa.select(sa.func.pg_is_in_recovery())).scalar_one())
    return True
