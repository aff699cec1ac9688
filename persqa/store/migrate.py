"""Bringing the schema up to date, once, whoever comes first."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from persqa.errors import SettingsError
from persqa.store.database import Database

#: Any number, as long as it is always the same: it names PostgreSQL's lock on the migration.
_ADVISORY_LOCK = 7_377_227_251


def migrate(database: Database) -> None:
    """Create or upgrade the tables and views; costs one query when there is nothing to do.

    Raises:
        SettingsError: the schema is newer than this PersQA.
        StoreUnavailable: the database does not answer.
    """
    # Alembic tells on every connection which dialect it found.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    with database.reading() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found == script.get_current_head():
        return
    if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
        raise SettingsError(f"the database has schema {found}, newer than this PersQA: upgrade PersQA first")
    # SQLite's write transaction is lock enough; on PostgreSQL whoever waited here finds nothing left to do.
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
