"""Bringing the schema up to date, once, however many processes try.

Alembic takes long to load, so it is loaded only where something is to be done.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.errors import SettingsError, StoreUnavailable
from persqa.store.database import Database
from persqa.urls import without_password

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger(__name__)

_MIGRATIONS = Path(__file__).parent / "migrations"
#: The name of PostgreSQL's lock on the migration; any number will do that never changes.
_ADVISORY_LOCK = 7_377_227_251
#: PostgreSQL's error codes for a role without the right to change tables, or to write at all.
_STATES_OF_ROLES = ("42501", "25006")
#: PostgreSQL's error code for a lock timeout; the timeout, the pause between tries, and their number.
_LOCKED = "55P03"
_LOCK_SECONDS = 3.0
_PAUSE_SECONDS = 3.0
_TRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The schema of a database, compared with the one that this PersQA knows.

    Attributes:
        found: the database's revision; None if it has none yet.
        head: the newest revision that this PersQA knows.
        missing: a line for each revision that the database lacks, in order.
    """

    found: str | None
    head: str
    missing: tuple[str, ...]


def inspect(database: Database) -> Schema:
    """Compare the schemas, without changing anything.

    Raises:
        SettingsError: the schema is newer than this PersQA.
        StoreUnavailable: the database does not answer.
    """
    with database.reading() as connection:
        return _inspect(connection)


def migrate(database: Database) -> Schema:
    """Create or upgrade the tables and views; returns the schema as it was found.

    Raises:
        SettingsError: the schema is newer than this PersQA, or it is older and this role may not change it.
        StoreUnavailable: the database does not answer.
    """
    schema = inspect(database)
    if not schema.missing:
        return schema
    try:
        return _upgrade(database)
    except StoreUnavailable as error:
        if _state(error) in _STATES_OF_ROLES:
            is_now = "no schema of PersQA" if schema.found is None else f"schema {schema.found}"
            message = f"the database has {is_now}, this PersQA needs {schema.head}, and this role may not change it"
            raise SettingsError(f"{message}: run `persqa migrate` as the owner") from error
        raise


def _upgrade(database: Database) -> Schema:
    """Upgrade, waiting briefly for locks: a migration waits for readers, and later readers wait for the migration."""
    for _ in range(_TRIES):
        try:
            return _upgrade_once(database)
        except StoreUnavailable as error:
            if _state(error) != _LOCKED:
                raise
            logger.warning("the tables are in use: trying again soon, so that others do not wait for this migration")
            time.sleep(_PAUSE_SECONDS)
    raise StoreUnavailable(
        f"{without_password(database.url)}: the tables are in use, as by a backup; migrate afterwards"
    )


def _upgrade_once(database: Database) -> Schema:
    # SQLite's write transaction is a sufficient lock. On PostgreSQL, later processes find nothing left to do.
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS:g}s'")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        schema = _inspect(connection)
        if schema.missing:
            config = _config()
            from alembic import command

            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return schema


def _config() -> Config:
    # Alembic logs the dialect of every connection, and its own parts while it is loaded.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, _folders())))
    return config


def _folders() -> list[Path]:
    """Where the migrations are."""
    return [_MIGRATIONS / "versions"]


def _newest() -> str:
    """The newest revision, by the names of the files, which begin with theirs."""
    return max(file.name.partition("_")[0] for folder in _folders() for file in folder.glob("*_*.py"))


def _found(connection: sa.Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()


def _inspect(connection: sa.Connection) -> Schema:
    found, head = _found(connection), _newest()
    if found == head:
        return Schema(found=found, head=head, missing=())
    config = _config()
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    known = {revision.revision: revision.doc.rstrip(".") for revision in script.walk_revisions()}
    if found is not None and found not in known:
        raise SettingsError(f"the database has schema {found}, newer than this PersQA: upgrade PersQA first")
    missing = [revision for revision in sorted(known) if found is None or revision > found]
    return Schema(found=found, head=head, missing=tuple(f"{revision}: {known[revision]}" for revision in missing))


def _state(error: StoreUnavailable) -> object:
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None)
