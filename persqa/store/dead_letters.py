"""Storing dead letters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.store.database import Database
from persqa.store.schema import dead_letters
from persqa.store.text import row_of

if TYPE_CHECKING:
    from persqa.dead_letters import DeadLetter

#: Longest text kept of a message, in characters.
_KEPT = 65_536


class DeadLetters:
    """The table of dead letters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, letter: DeadLetter) -> None:
        """Store one."""
        row = row_of(replace(letter, text=letter.text[:_KEPT]))
        with self._database.writing() as connection:
            connection.execute(sa.insert(dead_letters), row)

    def counts(self) -> dict[str, int]:
        """The number of dead letters, by reason."""
        query = sa.select(dead_letters.c.reason, sa.func.count().label("number")).group_by(dead_letters.c.reason)
        with self._database.reading() as connection:
            return {row.reason: row.number for row in connection.execute(query)}
