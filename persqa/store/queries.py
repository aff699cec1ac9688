"""What people and programs ask of the database: progress, rows, violations, exports, and the audit's sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from persqa.items import MAX_ITEMS
from persqa.records import record_id
from persqa.results import PENDING, Status, now
from persqa.runs import RunState
from persqa.store.counters import SUBMITTED
from persqa.store.database import Database
from persqa.store.schema import items, results, run_counters, runs, violations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from persqa.runs import Run, RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        submitted: items in the ledger.
        ended: items with a result, by status; every status has an entry.
        state: whether its items are begun.
    """

    submitted: int
    ended: dict[Status, int]
    state: RunState = RunState.ACTIVE

    @property
    def pending(self) -> int:
        """Items without a result."""
        return self.submitted - sum(self.ended.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far one run is, by its name."""

    run: str
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """A run counted row by row, all at one moment.

    Attributes:
        rows: what the rows say.
        counters: what the counters say.
        pending: items without a result, counted by themselves and not as a difference.
        strays: results without an item, or of another run than their item.
    """

    rows: Progress
    counters: Progress
    pending: int
    strays: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """One item as people see it, with its result if it has one.

    Attributes:
        record: the record as given, as JSON.
        image: its image references, joined by commas.
        status: a `Status`, or `pending`.
        record_id: what the run's id column says in this record; None where there is none.
    """

    item_id: int
    position: int
    slot: int
    record: str
    image: str
    tag: str
    topic: str
    question: str
    status: str
    reason: str | None
    detail: str | None
    answer: str | None
    rung: str | None
    forced: bool | None
    generations: int | None
    prompt_tokens: int | None
    output_tokens: int | None
    worker: str | None
    model: str | None
    record_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationRow:
    """One broken generation as people see it; `record_id` as in `PairRow`."""

    item_id: int
    position: int
    question: str
    rung: str
    kind: str
    text: str
    finish_reason: str
    model: str
    record_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """In short: on which rung a generation broke the tag rule, and how."""

    rung: str
    kind: str


_AnySelect: TypeAlias = "sa.Select[*tuple[Any, ...]]"


class Queries:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def progress(self, run_id: RunId) -> Progress:
        """Read the run's counters; the cost does not depend on the run's size."""
        counted = sa.select(runs.c.state, run_counters.c.status, run_counters.c["items"])
        query = counted.select_from(runs.outerjoin(run_counters)).where(runs.c.id == run_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        found = {row.status: row[2] for row in rows}
        ended = {status: found.get(status, 0) for status in Status}
        return Progress(submitted=found.get(SUBMITTED, 0), ended=ended, state=RunState(rows[0].state))

    def overview(self, *, unfinished: int, newest: int) -> list[RunProgress]:
        """How far the runs are that somebody may look at, read from their counters.

        Args:
            unfinished: so many runs that have pending items and are not cancelled, the newest first.
            newest: and so many runs whatever they have.
        """
        number = run_counters.c["items"]
        pending = sa.func.sum(sa.case((run_counters.c.status == SUBMITTED, number), else_=-number))
        expected = runs.c.state != RunState.CANCELLED
        counted = sa.select(run_counters.c.run_id).join(runs).where(expected)
        open_runs = counted.group_by(run_counters.c.run_id).having(pending > 0)
        chosen = sa.union(
            sa.select(open_runs.order_by(run_counters.c.run_id.desc()).limit(unfinished).subquery().c.run_id),
            sa.select(sa.select(runs.c.id).order_by(runs.c.id.desc()).limit(newest).subquery().c.id),
        )
        query = (
            sa.select(runs.c.id, runs.c.name, run_counters.c.status, number)
            .select_from(runs.outerjoin(run_counters))
            .where(runs.c.id.in_(chosen))
            .order_by(runs.c.id)
        )
        found: dict[str, dict[str, int]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                counts = found.setdefault(row.name, {})
                if row.status is not None:
                    counts[row.status] = row[3]
        return [
            RunProgress(run=name, progress=_progress(counts.get(SUBMITTED, 0), counts))
            for name, counts in found.items()
        ]

    def models(self) -> list[str]:
        """The models that runs have named."""
        query = sa.select(runs.c.model).where(runs.c.model.is_not(None)).distinct()
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def rate(self, run_id: RunId, *, seconds: float = 60) -> float:
        """Results a second over the last while."""
        query = sa.select(sa.func.count(), sa.func.min(results.c.finished_at)).where(
            results.c.run_id == run_id, results.c.finished_at > now() - timedelta(seconds=seconds)
        )
        with self._database.reading() as connection:
            number, first = connection.execute(query).one()
        return number / max((now() - first).total_seconds(), 1.0) if number else 0.0

    def throughput(self, run_id: RunId, *, since: datetime) -> float:
        """Answered items a second between the first and the last of them after a moment; 0 where that is no time."""
        query = sa.select(
            sa.func.count(), sa.func.min(results.c.finished_at), sa.func.max(results.c.finished_at)
        ).where(results.c.run_id == run_id, results.c.finished_at >= since, results.c.generations > 0)
        with self._database.reading() as connection:
            number, first, last = connection.execute(query).one()
        seconds = (last - first).total_seconds() if number > 1 else 0.0
        return (number - 1) / seconds if seconds else 0.0

    def kinds(self, run_id: RunId) -> dict[str, int]:
        """How many violations of each kind, the most frequent first."""
        number = sa.func.count().label("number")
        query = (
            sa.select(violations.c.kind, number)
            .where(violations.c.run_id == run_id)
            .group_by(violations.c.kind)
            .order_by(number.desc(), violations.c.kind)
        )
        with self._database.reading() as connection:
            return dict(connection.execute(query).all())

    def pairs(
        self, run: Run, *, status: str | None = None, question: str | None = None, chunk: int = 1000
    ) -> Iterator[PairRow]:
        """The run's items in the input's order, read in chunks.

        Args:
            run: the run.
            status: only this `Status`, or `pending`.
            question: only this topic, or questions that contain these words.
            chunk: rows read at a time.
        """
        query = (
            sa.select(*_PAIR_COLUMNS)
            .select_from(items.outerjoin(results, results.c.item_id == items.c.id))
            .where(items.c.id > sa.bindparam("after"), items.c.id < (run.id + 1) * MAX_ITEMS)
            .order_by(items.c.id)
        )
        if status is not None:
            wanted = results.c.status.is_(None) if status == PENDING else results.c.status == status
            query = query.where(wanted)
        if question is not None:
            query = query.where(_asks(question))
        for row in self._chunks(query, after=run.id * MAX_ITEMS - 1, chunk=chunk, key="item_id"):
            yield PairRow(**row, record_id=record_id(row["record"], run.options.id_column))

    def violations(
        self, run: Run, *, kind: str | None = None, question: str | None = None, chunk: int = 1000
    ) -> Iterator[ViolationRow]:
        """The run's broken generations, the oldest first, read in chunks."""
        query = (
            sa.select(*_VIOLATION_COLUMNS)
            .join(items, items.c.id == violations.c.item_id)
            .where(violations.c.run_id == run.id, violations.c.id > sa.bindparam("after"))
            .order_by(violations.c.id)
        )
        if kind is not None:
            query = query.where(violations.c.kind == kind)
        if question is not None:
            query = query.where(_asks(question))
        for row in self._chunks(query, after=0, chunk=chunk, key="id"):
            del row["id"]
            named = record_id(row.pop("record"), run.options.id_column)
            yield ViolationRow(**row, record_id=named)

    def broken(self, item_ids: Sequence[int]) -> dict[int, list[Broken]]:
        """The broken generations of some items, the oldest first; items without any are left out."""
        query = (
            sa.select(violations.c.item_id, violations.c.rung, violations.c.kind)
            .where(violations.c.item_id.in_(item_ids))
            .order_by(violations.c.id)
        )
        found: dict[int, list[Broken]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.item_id, []).append(Broken(rung=row.rung, kind=row.kind))
        return found

    def census(self, run_id: RunId, *, strays: int = 20) -> Census:
        """Count the rows themselves, for the audit: exact, from one moment, and as slow as the run is large.

        Args:
            run_id: the run.
            strays: how many stray results to name, at most.
        """
        low, high = run_id * MAX_ITEMS, (run_id + 1) * MAX_ITEMS
        in_ledger = sa.and_(items.c.id >= low, items.c.id < high)
        in_results = sa.and_(results.c.item_id >= low, results.c.item_id < high)
        by_status = sa.select(results.c.status, sa.func.count()).where(in_results).group_by(results.c.status)
        outer = items.outerjoin(results, results.c.item_id == items.c.id)
        pending = sa.select(sa.func.count()).select_from(outer).where(in_ledger, results.c.item_id.is_(None))
        stray = (
            sa.select(results.c.item_id)
            .outerjoin(items, items.c.id == results.c.item_id)
            .where(in_results, sa.or_(items.c.id.is_(None), results.c.run_id != items.c.run_id))
            .limit(strays)
        )
        with self._database.reading() as connection:
            return Census(
                rows=_progress(
                    connection.execute(sa.select(sa.func.count()).where(in_ledger)).scalar_one(),
                    dict(connection.execute(by_status).all()),
                ),
                counters=_counters(connection, run_id),
                pending=connection.execute(pending).scalar_one(),
                strays=tuple(connection.execute(stray).scalars()),
            )

    def _chunks(self, query: _AnySelect, *, after: int, chunk: int, key: str) -> Iterator[dict[str, Any]]:
        # A page at a time by key: no transaction stays open while a caller takes its time over the rows.
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query.limit(chunk), {"after": after}).mappings().all()
            for row in rows:
                after = row[key]
                yield dict(row)
            if len(rows) < chunk:
                return


_PAIR_COLUMNS = (
    items.c.id.label("item_id"),
    items.c.position,
    items.c.slot,
    items.c.record,
    items.c.image,
    items.c.tag,
    items.c.topic,
    items.c.question,
    sa.func.coalesce(results.c.status, PENDING).label("status"),
    results.c.reason,
    results.c.detail,
    results.c.answer,
    results.c.rung,
    results.c.forced,
    results.c.generations,
    results.c.prompt_tokens,
    results.c.output_tokens,
    results.c.worker,
    results.c.model,
)

_VIOLATION_COLUMNS = (
    violations.c.id,
    violations.c.item_id,
    items.c.record,
    items.c.position,
    items.c.question,
    violations.c.rung,
    violations.c.kind,
    violations.c.text,
    violations.c.finish_reason,
    violations.c.model,
)


def _counters(connection: sa.Connection, run_id: RunId) -> Progress:
    query = sa.select(run_counters.c.status, run_counters.c["items"]).where(run_counters.c.run_id == run_id)
    found = dict(connection.execute(query).all())
    return _progress(found.get(SUBMITTED, 0), found)


def _progress(submitted: int, by_status: Mapping[str, int]) -> Progress:
    return Progress(submitted=submitted, ended={status: by_status.get(status, 0) for status in Status})


def _asks(question: str) -> sa.ColumnElement[bool]:
    return sa.or_(items.c.topic == question, items.c.question.contains(question, autoescape=True))
