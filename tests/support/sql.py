"""Statements of a test, beside the store."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from persqa.store.database import Database


def select(database_url: str, statement: str) -> list[tuple[Any, ...]]:
    database = Database(database_url)
    with database.reading() as connection:
        rows = [tuple(row) for row in connection.execute(sa.text(statement))]
    database.close()
    return rows


def change(database_url: str, *statements: str) -> None:
    database = Database(database_url)
    with database.writing() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    database.close()
