"""Summaries: what runs come to, counted in SQL; the time grows with the run."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.policies import Rung
from persqa.results import Status
from persqa.store.database import Database
from persqa.store.evidence import flag_counters
from persqa.store.provenances import Provenances
from persqa.store.schema import earlier_results, items, results, reviews, template
from persqa.summary import AskedQuestion, Repeated, Summary

if TYPE_CHECKING:
    from persqa.runs import Run, RunId

#: Questions that are told apart, and answers that are shown.
_MOST_QUESTIONS = 50
_MOST_REPEATED = 10
_WAYS = {Rung.FREE: "first", Rung.RESEED: "repaired", Rung.PREFILL: "forced"}


class Summaries:
    """Counts whole runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._provenances = Provenances(database)

    def of(self, run: Run) -> Summary:
        """What a run comes to, as of one moment."""
        own, answered = results.c.run_id == run.id, results.c.answer.is_not(None)
        with self._database.reading() as connection:

            def counts(*keys: sa.ColumnElement[Any], where: sa.ColumnElement[bool] = own) -> dict[Any, int]:
                query = sa.select(*keys, sa.func.count()).where(own, where).group_by(*keys)
                rows = connection.execute(query).all()
                return {(row[0] if len(keys) == 1 else tuple(row[:-1])): row[-1] for row in rows}

            totals = connection.execute(_TOTALS.where(own)).one()
            return Summary(
                records=connection.execute(_RECORDS.where(items.c.run_id == run.id)).scalar_one(),
                questions=_questions(connection, run.id),
                reasons=counts(results.c.status, results.c.reason, where=results.c.reason.is_not(None)),
                flags=dict(connection.execute(_FLAGS.where(flag_counters.c.run_id == run.id)).all()),
                models=counts(results.c.model, where=results.c.model.is_not(None)),
                reviews=_reviews(connection, run.id),
                provenances=self._provenances.of(run.id),
                answers=totals.answers,
                generations=totals.generations or 0,
                prompt_tokens=totals.prompt_tokens or 0,
                output_tokens=totals.output_tokens or 0,
                engine_seconds=totals.engine_seconds or 0.0,
                began=totals.began,
                ended=totals.ended,
                requeued=connection.execute(_REQUEUED.where(earlier_results.c.run_id == run.id)).scalar_one(),
                lengths=counts(sa.func.length(results.c.answer, type_=sa.Integer) // 10, where=answered),
                minutes=counts(sa.cast(sa.extract("epoch", results.c.finished_at), sa.BigInteger) // 60),
                repeated=[Repeated(*row) for row in connection.execute(_REPEATED.where(own))],
            )


_TOTALS = sa.select(
    sa.func.count(results.c.answer).label("answers"),
    *(sa.func.sum(results.c[name]).label(name) for name in ("generations", "prompt_tokens", "output_tokens")),
    sa.func.sum(results.c.engine_seconds).label("engine_seconds"),
    sa.func.min(results.c.finished_at).label("began"),
    sa.func.max(results.c.finished_at).label("ended"),
)
_RECORDS = sa.select(sa.func.count(items.c.position.distinct()))
_REQUEUED = sa.select(sa.func.count()).select_from(earlier_results)
_FLAGS = (
    sa.select(flag_counters.c.flag, flag_counters.c["items"])
    .where(flag_counters.c["items"] > 0)
    .order_by(flag_counters.c["items"].desc(), flag_counters.c.flag)
)
_with_items = results.join(items, items.c.id == results.c.item_id)
_number = sa.func.count().label("number")
_REPEATED = (
    sa.select(items.c.topic, results.c.answer, _number)
    .select_from(_with_items)
    .where(results.c.answer.is_not(None))
    .group_by(items.c.topic, results.c.answer)
    .having(sa.func.count() > 1)
    .order_by(_number.desc(), items.c.topic, results.c.answer)
    .limit(_MOST_REPEATED)
)
_BY_QUESTION = (
    sa.select(items.c.topic, results.c.status, results.c.rung, _number, sa.func.min(template).label("template"))
    .select_from(_with_items)
    .group_by(items.c.topic, results.c.status, results.c.rung)
)


def _questions(connection: sa.Connection, run_id: RunId) -> list[AskedQuestion]:
    counted, templates = defaultdict[str, Counter[str]](Counter), dict[str, str]()
    for row in connection.execute(_BY_QUESTION.where(results.c.run_id == run_id)):
        if not row.template:
            # Nothing was asked about a wrong record.
            continue
        templates[row.topic] = min(row.template, templates.get(row.topic, row.template))
        match row.status:
            case Status.OK:
                way = _WAYS.get(row.rung, "first")
            case Status.NONCOMPLIANT:
                way = "broken"
            case _:
                way = "unanswered"
        counted[row.topic][way] += row.number
    most = sorted(counted, key=lambda topic: (-counted[topic].total(), topic))[:_MOST_QUESTIONS]
    return [AskedQuestion(topic=topic, template=templates[topic], **counted[topic]) for topic in most]


def _reviews(connection: sa.Connection, run_id: RunId) -> dict[str, int]:
    decided = sa.select(reviews.c.decision, sa.func.count()).where(
        reviews.c.run_id == run_id, reviews.c.decision.is_not(None)
    )
    found = {str(word): number for word, number in connection.execute(decided.group_by(reviews.c.decision))}
    for word, which in (("edited", reviews.c.answer.is_not(None)), ("starred", reviews.c.starred)):
        query = sa.select(sa.func.count()).select_from(reviews).where(reviews.c.run_id == run_id, which)
        if number := connection.execute(query).scalar_one():
            found[word] = number
    return found
