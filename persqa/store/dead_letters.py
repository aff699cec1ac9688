"""Storing dead letters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.items import ItemId
from persqa.reasons import Reason
from persqa.store.database import Database
from persqa.store.schema import dead_letters
from persqa.store.text import row_of

if TYPE_CHECKING:
    from collections.abc import Collection

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

    def reasons(self, item_ids: Collection[ItemId]) -> dict[ItemId, tuple[Reason, str]]:
        """Why the last message of each item that has one was no message to be answered: the reason, and a sentence."""
        letters = sa.select(dead_letters.c.item_id, dead_letters.c.reason, dead_letters.c.detail)
        query = letters.where(dead_letters.c.item_id.in_(item_ids)).order_by(dead_letters.c.id)
        with self._database.reading() as connection:
            return {ItemId(row.item_id): (Reason(row.reason), row.detail) for row in connection.execute(query)}

    def counts(self) -> dict[str, int]:
        """The number of dead letters, by reason."""
        query = sa.select(dead_letters.c.reason, sa.func.count().label("number")).group_by(dead_letters.c.reason)
        with self._database.reading() as connection:
            return {row.reason: row.number for row in connection.execute(query)}
