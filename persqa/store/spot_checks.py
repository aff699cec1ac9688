"""Spot checks in SQL: beside the results, never among them, and gone with them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.clock import now
from persqa.items import MAX_ITEMS, ItemId
from persqa.questions import TAG_FIELD
from persqa.results import Status
from persqa.runs import RunId
from persqa.spot_checks import Check
from persqa.store.database import Database
from persqa.store.evidence import spot_checks
from persqa.store.schema import items, results, runs
from persqa.store.text import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.flags import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotCheck:
    """One question that was asked otherwise once more.

    Attributes:
        status: `ok` or `noncompliant`; `invalid` or `dead` where it could not be asked.
        reason: as that of a result.
        flags: what was noted of the answer.
    """

    item_id: ItemId
    run_id: RunId
    check: Check
    status: Status
    seed: int
    reason: str | None = None
    answer: str | None = None
    flags: tuple[Finding, ...] = ()
    model: str | None = None
    output_tokens: int | None = None
    engine_seconds: float | None = None
    finished_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAnswer:
    """An answer, and what was said when the question was asked otherwise; None where it could not be.

    Attributes:
        question: with `{tag}` in place of the tag, so that it is the same of all records.
    """

    item_id: int
    check: Check
    question: str
    tag: str
    answer: str
    checked: str | None


class SpotChecks:
    """The spot checks of all runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, checks: Sequence[SpotCheck], *, requeues: int) -> int:
        """Store the checks of one item; returns how many were stored.

        None is where its result was taken back, or the run deleted, since the question was asked; nor where it is
        there already.

        Raises:
            StoreUnavailable: nothing was stored, as far as is known; a repetition is safe.
        """
        item_id = checks[0].item_id
        # Locked, so that nobody takes the result back unseen.
        there = sa.select(results.c.item_id).join(items, items.c.id == results.c.item_id).join(runs)
        there = there.where(results.c.item_id == item_id, items.c.requeues == requeues, runs.c.deleting.is_(False))
        insert = self._database.insert(spot_checks).on_conflict_do_nothing().returning(spot_checks.c.item_id)
        with self._database.writing() as connection:
            if connection.execute(there.with_for_update(read=True, of=results)).first() is None:
                return 0
            return len(connection.execute(insert, [_row(check) for check in checks]).all())

    def other_images(self, run_id: RunId, item: ItemId, own: Sequence[str], *, number: int) -> tuple[str, ...]:
        """The image references of another record of the run; none where all have the same, or none.

        Args:
            run_id: the run.
            item: whose images are not wanted.
            own: nor these, whoever has them.
            number: decides which; any number.
        """
        low, high = run_id * MAX_ITEMS, (run_id + 1) * MAX_ITEMS
        whole = sa.select(runs.c["items"]).where(runs.c.id == run_id)
        other = sa.select(items.c.images).where(
            items.c.id >= sa.bindparam("low"),
            items.c.id < sa.bindparam("high"),
            items.c.id != item,
            items.c.images.not_in([json.dumps([storable(image) for image in own]), "[]"]),
        )
        with self._database.reading() as connection:
            start = low + number % max(connection.execute(whole).scalar() or 1, 1)
            for begin, end in ((start, high), (low, start)):
                found = connection.execute(other.order_by(items.c.id).limit(1), {"low": begin, "high": end}).scalar()
                if found is not None:
                    return tuple(json.loads(found))
        return ()

    def of(self, run_id: RunId) -> list[CheckedAnswer]:
        """The checks of a run whose answers are there, in the input's order."""
        query = sa.select(
            spot_checks.c.item_id,
            spot_checks.c.check_name,
            items.c.question,
            items.c.tag,
            results.c.answer,
            spot_checks.c.answer.label("checked"),
        )
        query = query.join(items, items.c.id == spot_checks.c.item_id)
        query = query.join(results, results.c.item_id == spot_checks.c.item_id)
        query = query.where(spot_checks.c.run_id == run_id, results.c.answer.is_not(None))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(spot_checks.c.item_id, spot_checks.c.check_name)).all()
        return [
            CheckedAnswer(
                item_id=row.item_id,
                check=Check(row.check_name),
                question=row.question.replace(row.tag, TAG_FIELD) if row.tag else row.question,
                tag=row.tag,
                answer=row.answer,
                checked=row.checked,
            )
            for row in rows
        ]


def _row(check: SpotCheck) -> dict[str, object]:
    return {
        "item_id": check.item_id,
        "check_name": check.check.value,
        "run_id": check.run_id,
        "status": check.status.value,
        "reason": check.reason,
        "answer": None if check.answer is None else storable(check.answer),
        "seed": check.seed,
        "flags": json.dumps([{"flag": one.flag, "score": one.score} for one in check.flags]),
        "model": check.model,
        "output_tokens": check.output_tokens,
        "engine_seconds": check.engine_seconds,
        "finished_at": check.finished_at,
    }
