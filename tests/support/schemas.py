"""Databases as earlier versions of PersQA left them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command

from persqa.store.migrate import _config  # pyright: ignore[reportPrivateUsage]

if TYPE_CHECKING:
    from persqa.store.database import Database


def to_revision(database: Database, revision: str) -> None:
    """Make the tables of this revision."""
    config = _config()
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
