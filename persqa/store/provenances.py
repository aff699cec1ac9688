"""Provenances: what has answered each run, noted by every worker before it stores its first results of the run."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.clock import now
from persqa.errors import RowRefused
from persqa.provenance import Provenance
from persqa.store.database import Database
from persqa.store.evidence import provenances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.runs import RunId

_NAMES = [field.name for field in fields(Provenance)]


class Provenances:
    """What has answered each run; and what this process answers with, once it is known."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own: Provenance | None = None
        self._noted: set[RunId] = set()

    def answer_with(self, own: Provenance) -> None:
        """From now on this process notes that for the runs that it stores results of."""
        self._own = own

    def note(self, run_ids: Iterable[RunId]) -> None:
        """Note it for these runs, each of them once; where one is gone, there is nothing to note.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if self._own is None:
            return
        for run_id in sorted(set(run_ids) - self._noted):
            row = {"run_id": run_id, **{name: getattr(self._own, name) for name in _NAMES}, "since": now()}
            insert = self._database.insert(provenances).values(row).on_conflict_do_nothing()
            try:
                with self._database.writing() as connection:
                    connection.execute(insert)
            except RowRefused:
                pass
            self._noted.add(run_id)

    def of(self, run_id: RunId) -> list[Provenance]:
        """What has answered a run, the first one first; nothing of what answered before this was noted."""
        columns = [provenances.c[name] for name in _NAMES]
        query = sa.select(*columns).where(provenances.c.run_id == run_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(provenances.c.since, provenances.c.model)).mappings()
            return [Provenance(**{name: row[name] for name in _NAMES}) for row in rows]
