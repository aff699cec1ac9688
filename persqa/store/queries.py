"""Queries: progress, rates, rows, violations, and the audit's sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from persqa.errors import RunNotFound
from persqa.generations import FinishReason
from persqa.items import MAX_ITEMS, ItemId
from persqa.pairs import Broken, ViolationRow
from persqa.policies import Rung
from persqa.progress import Census, RunProgress
from persqa.records import record_id, stored_record
from persqa.reviews import Wanted
from persqa.runs import RunId, RunState
from persqa.store.counters import PENDING_ITEMS, SUBMITTED, progress_of, progresses
from persqa.store.database import Database
from persqa.store.pair_rows import PAIRS, Read, as_they_are, chosen_by, pair_row, with_flags
from persqa.store.schema import (
    asks,
    has_no_result,
    items,
    items_and_results,
    results,
    run_counters,
    runs,
    violations,
)
from persqa.verdicts import parse_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persqa.pairs import Flagged, PairRow
    from persqa.progress import Progress
    from persqa.runs import Run

_AnySelect: TypeAlias = "sa.Select[*tuple[Any, ...]]"


class Queries:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def progress(self, run_id: RunId) -> Progress:
        """Read the run's counters; the cost does not grow with the run.

        Raises:
            RunNotFound: it was removed.
        """
        found = self._progresses(runs.c.id == run_id)
        if run_id not in found:
            why = "somebody deleted it, or another submit has replaced it"
            raise RunNotFound(f"the run is gone: {why}; to have it again, submit it")
        return found[run_id]

    def progresses(self, run_ids: Sequence[RunId] | None = None) -> dict[RunId, Progress]:
        """The progress of these runs, or of all, in one query."""
        return self._progresses(sa.true() if run_ids is None else runs.c.id.in_(run_ids))

    def _progresses(self, which: sa.ColumnElement[bool]) -> dict[RunId, Progress]:
        with self._database.reading() as connection:
            return progresses(connection, which)

    def overview(self, *, unfinished: int, newest: int) -> list[RunProgress]:
        """The progress of the newest runs, read from their counters.

        Args:
            unfinished: most runs that have pending items and are not cancelled.
            newest: most runs of any kind, beside those.
        """
        number = run_counters.c["items"]
        expected = runs.c.state != RunState.CANCELLED
        counted = sa.select(run_counters.c.run_id).join(runs).where(expected)
        open_runs = counted.group_by(run_counters.c.run_id).having(PENDING_ITEMS > 0)
        chosen = sa.union(
            sa.select(open_runs.order_by(run_counters.c.run_id.desc()).limit(unfinished).subquery().c.run_id),
            sa.select(sa.select(runs.c.id).order_by(runs.c.id.desc()).limit(newest).subquery().c.id),
        )
        query = (
            sa.select(
                runs.c.name, runs.c.state, runs.c["items"], runs.c.open, run_counters.c.status, number.label("number")
            )
            .select_from(runs.outerjoin(run_counters))
            .where(runs.c.id.in_(chosen))
            .order_by(runs.c.id)
        )
        found: dict[tuple[str, str, int, bool | None], dict[str | None, int]] = {}
        with self._database.reading() as connection:
            for name, state, whole, is_open, status, count in connection.execute(query):
                found.setdefault((name, state, whole, is_open), {})[status] = count
        return [
            RunProgress(run=name, progress=progress_of(counts, state, whole, is_open=is_open))
            for (name, state, whole, is_open), counts in found.items()
        ]

    def models(self) -> list[str]:
        """The models that runs have named."""
        query = sa.select(runs.c.model).where(runs.c.model.is_not(None)).distinct()
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def kinds(self, run_id: RunId) -> dict[str, int]:
        """The number of violations of each kind, the most frequent first."""
        number = sa.func.count().label("number")
        query = (
            sa.select(violations.c.kind, number)
            .where(violations.c.run_id == run_id)
            .group_by(violations.c.kind)
            .order_by(number.desc(), violations.c.kind)
        )
        with self._database.reading() as connection:
            return dict(connection.execute(query).all())

    def pairs(  # noqa: PLR0913 - one parameter a filter
        self,
        run: Run,
        *,
        status: str | None = None,
        question: str | None = None,
        item: ItemId | None = None,
        review: Wanted | None = None,
        flagged: Flagged | None = None,
        chunk: int = 1000,
    ) -> Iterator[PairRow]:
        """The run's items in the input's order, read in chunks.

        Args:
            run: the run.
            status: only this `Status`, or `pending`.
            question: only this topic, or questions that contain this text, in which `{tag}` is any tag.
            item: only this one.
            review: only items that are so reviewed.
            flagged: only items that have flags, or have none, as this says.
            chunk: rows read at a time.
        """
        query = PAIRS.where(items.c.id > sa.bindparam("after"), items.c.id < (run.id + 1) * MAX_ITEMS)
        which = chosen_by(status=status, question=question, item=item, review=review, flagged=flagged)
        query = query.where(*which)
        for rows in self._chunks(query, after=run.id * MAX_ITEMS - 1, chunk=chunk, key="item_id", read=with_flags):
            yield from (pair_row(row, run) for row in rows)

    def chosen_pairs(self, run: Run, item_ids: Sequence[ItemId]) -> list[PairRow]:
        """Some items of the run in the input's order; those that it does not have are left out."""
        query = PAIRS.where(items.c.id.in_(item_ids), items.c.run_id == run.id)
        with self._database.reading() as connection:
            return [pair_row(row, run) for row in with_flags(connection, connection.execute(query).mappings().all())]

    def violations(
        self,
        run: Run,
        *,
        kind: str | None = None,
        question: str | None = None,
        item: ItemId | None = None,
        chunk: int = 1000,
    ) -> Iterator[ViolationRow]:
        """The run's violations, the oldest first, read in chunks."""
        query = (
            sa.select(*_VIOLATION_COLUMNS)
            .join(items, items.c.id == violations.c.item_id)
            .where(violations.c.run_id == run.id, violations.c.id > sa.bindparam("after"))
            .order_by(violations.c.id)
        )
        if kind is not None:
            query = query.where(violations.c.kind == kind)
        if question is not None:
            query = query.where(asks(question))
        if item is not None:
            query = query.where(violations.c.item_id == item)
        for rows in self._chunks(query, after=0, chunk=chunk, key="id"):
            yield from (_violation_row(row, run) for row in rows)

    def broken(self, item_ids: Sequence[int]) -> dict[int, list[Broken]]:
        """The violations of some items, the oldest first; items without violations are left out."""
        query = (
            sa.select(violations.c.item_id, violations.c.rung, violations.c.kind)
            .where(violations.c.item_id.in_(item_ids))
            .order_by(violations.c.id)
        )
        found: dict[int, list[Broken]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.item_id, []).append(Broken(rung=Rung(row.rung), kind=parse_kind(row.kind)))
        return found

    def census(self, run_id: RunId, *, strays: int = 20) -> Census:
        """Count the rows themselves, for the audit: exactly, as of one moment; the time grows with the run.

        Args:
            run_id: the run.
            strays: most stray results to name.
        """
        low, high = run_id * MAX_ITEMS, (run_id + 1) * MAX_ITEMS
        in_ledger = sa.and_(items.c.id >= low, items.c.id < high)
        in_results = sa.and_(results.c.item_id >= low, results.c.item_id < high)
        by_status = sa.select(results.c.status, sa.func.count()).where(in_results).group_by(results.c.status)
        pending = sa.select(sa.func.count()).select_from(items_and_results).where(in_ledger, has_no_result)
        counters = sa.select(run_counters.c.status, run_counters.c["items"]).where(run_counters.c.run_id == run_id)
        stray = (
            sa.select(results.c.item_id)
            .outerjoin(items, items.c.id == results.c.item_id)
            .where(in_results, sa.or_(items.c.id.is_(None), results.c.run_id != items.c.run_id))
            .limit(strays)
        )
        with self._database.reading() as connection:
            submitted = connection.execute(sa.select(sa.func.count()).where(in_ledger)).scalar_one()
            return Census(
                rows=progress_of({SUBMITTED: submitted, **dict(connection.execute(by_status).all())}),
                counters=progress_of(dict(connection.execute(counters).all())),
                pending=connection.execute(pending).scalar_one(),
                strays=tuple(connection.execute(stray).scalars()),
            )

    def _chunks(
        self, query: _AnySelect, *, after: int, chunk: int, key: str, read: Read = as_they_are
    ) -> Iterator[list[dict[str, Any]]]:
        # One page by key per transaction: none stays open while the caller works on the rows.
        while True:
            with self._database.reading() as connection:
                rows = read(connection, connection.execute(query.limit(chunk), {"after": after}).mappings().all())
            is_last = len(rows) < chunk
            if rows:
                after = rows[-1][key]
            yield rows
            if is_last:
                return


_VIOLATION_COLUMNS = (
    *(violations.c[name] for name in ("id", "item_id", "rung", "kind", "text", "finish_reason", "model")),
    *(items.c[name] for name in ("record", "position", "question")),
)


def _violation_row(row: dict[str, Any], run: Run) -> ViolationRow:
    del row["id"]
    read: dict[str, Any] = {
        "rung": Rung(row["rung"]),
        "kind": parse_kind(row["kind"]),
        "finish_reason": FinishReason(row["finish_reason"]),
        "record_id": record_id(stored_record(row.pop("record")), run.options.id_column),
    }
    return ViolationRow(**row | read)
