"""Measured: what each item of a run came to, as a pilot weighs it: outcome, tokens, time and flags."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.items import MAX_ITEMS
from persqa.results import Status
from persqa.store.database import Database
from persqa.store.evidence import flags
from persqa.store.schema import items, results, violations

if TYPE_CHECKING:
    from persqa.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredItem:
    """One item that has ended.

    Attributes:
        place: its record's place in the input, and its question's among those of the record.
        first: whether the first generation kept the tag rule.
        tokens: of all generations, also of those that broke the rule.
        begun: when its images were asked for; None where no worker had it.
        flags: what was noted of its answer and its picture.
    """

    place: tuple[int, int]
    status: Status
    first: bool
    answer: str | None
    tokens: int
    begun: datetime | None
    finished: datetime
    flags: frozenset[str] = frozenset()


class Measured:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, run: Run) -> list[MeasuredItem]:
        """All items of a run that have ended, in the input's order; a pilot is small enough for memory."""
        low, high = run.id * MAX_ITEMS, (run.id + 1) * MAX_ITEMS
        columns = ("status", "answer", "generations", "output_tokens", "image_seconds", "engine_seconds", "worker")
        query = sa.select(items.c.id, items.c.position, items.c.slot, *(results.c[name] for name in columns))
        query = query.add_columns(results.c.finished_at).join(results, results.c.item_id == items.c.id)
        broken = sa.select(violations.c.item_id, sa.func.sum(violations.c.output_tokens)).group_by(violations.c.item_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(items.c.id >= low, items.c.id < high).order_by(items.c.id)).all()
            wasted = dict(connection.execute(broken.where(violations.c.run_id == run.id)).all())
            noted = _flags(connection, run)
        found: list[MeasuredItem] = []
        for row in rows:
            took = timedelta(seconds=(row.image_seconds or 0.0) + (row.engine_seconds or 0.0))
            found.append(
                MeasuredItem(
                    place=(row.position, row.slot),
                    status=Status(row.status),
                    first=row.status == Status.OK and row.generations == 1,
                    answer=row.answer,
                    # The last generation of a noncompliant item is one of its violations.
                    tokens=int(wasted.get(row.id, 0)) + ((row.output_tokens or 0) if row.status == Status.OK else 0),
                    begun=None if row.worker is None else row.finished_at - took,
                    finished=row.finished_at,
                    flags=frozenset(noted[row.id]),
                )
            )
        return found


def _flags(connection: sa.Connection, run: Run) -> defaultdict[int, set[str]]:
    """What was noted of each item's answer and picture."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for item_id, flag in connection.execute(sa.select(flags.c.item_id, flags.c.flag).where(flags.c.run_id == run.id)):
        found[item_id].add(flag)
    return found
