"""Stopping: runs pause themselves by their stop rules, which workers look at after each commit.

What is decided follows from the counters alone, so a worker that dies before it has decided loses nothing: the next
commit of the run, by whatever worker, comes to the same end. It is decided under a lock of the run's row, and only
where the run is active by then, so of several workers one pauses it, and none pauses it once more.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.clock import now
from persqa.errors import Infrastructure
from persqa.results import Outcome, Status
from persqa.runs import RunId, RunOptions, RunState
from persqa.stop_rules import FEWEST_ITEMS, Stop, Stopped, StopRule
from persqa.store.counters import SUBMITTED
from persqa.store.database import Database
from persqa.store.evidence import flag_counters
from persqa.store.schema import results, run_counters, runs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from persqa.shares import Share

logger = logging.getLogger(__name__)

#: Reasons have no counters. They are counted anew where their status has so much more items than at the last count.
_GROWN = 1.05


#: In one statement, as it is asked so often.
_STATE_AND_COUNTERS = (
    sa.select(runs.c.state, runs.c.stopped, run_counters.c.status, run_counters.c["items"].label("number"))
    .select_from(runs.join(run_counters))
    .where(runs.c.id == sa.bindparam("run"))
)


class Stopping:
    """Looks at the runs of one process; not for several threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: The rules of runs, which never change.
        self._rules: dict[RunId, tuple[StopRule, ...]] = {}
        #: From how many items of its status on the reason of a rule is counted again.
        self._due: dict[tuple[RunId, str], float] = {}
        #: Items that ended here since the last look at the counters of their run.
        self._unseen = Counter[RunId]()

    def look(self, outcomes: Iterable[Outcome]) -> None:
        """Pause the runs of these outcomes, which have just been stored, whose rules say so.

        What the database does not answer now, the next commit finds.
        """
        by_run = defaultdict[RunId, list[Outcome]](list)
        for outcome in outcomes:
            by_run[outcome.result.run_id].append(outcome)
        try:
            self._learn(by_run.keys() - self._rules.keys())
            for run_id in sorted(by_run):
                if self._is_worth_it(run_id, by_run[run_id]):
                    self._look_at(run_id, self._rules[run_id])
                    self._unseen[run_id] = 0
        except Infrastructure as error:
            logger.warning("could not look at the stop rules: %s; the next commit does", error)

    def _is_worth_it(self, run_id: RunId, outcomes: Sequence[Outcome]) -> bool:
        """Whether a share may have risen: a rule counts one of these, or many have ended since the last look."""
        rules = self._rules.get(run_id, ())
        self._unseen[run_id] += len(outcomes) if rules else 0
        return self._unseen[run_id] >= FEWEST_ITEMS or any(_counts(rule, one) for one in outcomes for rule in rules)

    def _learn(self, run_ids: Collection[RunId]) -> None:
        if not run_ids:
            return
        query = sa.select(runs.c.id, runs.c.options).where(runs.c.id.in_(run_ids))
        with self._database.reading() as connection:
            for run_id, options in connection.execute(query):
                self._rules[RunId(run_id)] = RunOptions.model_validate_json(options).stop_rules

    def _look_at(self, run_id: RunId, rules: Iterable[StopRule]) -> None:
        # Nearly always there is nothing to do, and nobody waits for a lock.
        with self._database.reading() as connection:
            rows = connection.execute(_STATE_AND_COUNTERS, {"run": run_id}).all()
            if not rows or rows[0].state != RunState.ACTIVE:
                return
            counted = _filled({row.status: row.number for row in rows})
            rule = self._broken(connection, run_id, rules, counted, Stopped.stored(rows[0].stopped))
        if rule is None:
            return
        with self._database.writing() as connection:
            found = _pause(connection, run_id, rule)
        if found is not None:
            name, stop = found
            logger.warning("run %s: %s", name, stop, extra={"run": run_id})

    def _broken(
        self,
        connection: sa.Connection,
        run_id: RunId,
        rules: Iterable[StopRule],
        counted: dict[str, int],
        stopped: Stopped,
    ) -> StopRule | None:
        if counted[SUBMITTED] <= _ended(counted):
            return None
        for rule in rules:
            if self._may_be(rule, run_id, counted, stopped) and _share(connection, run_id, rule, counted, stopped):
                return rule
        return None

    def _may_be(self, rule: StopRule, run_id: RunId, counted: dict[str, int], stopped: Stopped) -> bool:
        """Whether it is worth to count: a reason has at most as many items as its status."""
        if rule.reason is None:
            return True
        most = sum(counted[status] for status in rule.statuses)
        before, whole = stopped.since.get(str(rule), (0, 0))
        key = (run_id, str(rule))
        if most < self._due.get(key, 0) or rule.broken_by(most - before, _whole(rule, counted) - whole) is None:
            return False
        self._due[key] = most * _GROWN
        return True


def _counts(rule: StopRule, outcome: Outcome) -> bool:
    """Whether this is one of the items that a rule is about."""
    result = outcome.result
    if rule.is_flag:
        return any(finding.flag == rule.about for finding in outcome.findings)
    return result.status in rule.statuses and rule.reason in (None, result.reason)


def _pause(connection: sa.Connection, run_id: RunId, rule: StopRule) -> tuple[str, Stop] | None:
    """Pause an active run, if the rule still says so; the name of the run, and why. The transaction decides."""
    # Locks the run's row first, as `Ledger.reopen` does; what is read after it is as of then.
    touch = sa.update(runs).where(runs.c.id == run_id, runs.c.state == RunState.ACTIVE)
    touch = touch.values(ended_to=runs.c.ended_to).returning(runs.c.name, runs.c.stopped)
    if (row := connection.execute(touch).one_or_none()) is None:
        return None
    stopped = Stopped.stored(row.stopped)
    found = _share(connection, run_id, rule, _counted(connection, run_id), stopped)
    if found is None:
        return None
    stop = Stop.by(rule, found, now())
    stored = stopped.model_copy(update={"stop": stop}).model_dump_json()
    values = {"state": RunState.PAUSED, "published_to": 0, "stopped": stored}
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(values))
    return row.name, stop


def let_go_on(connection: sa.Connection, run_id: RunId) -> None:
    """Note that a person lets a run go on, inside the transaction that does so, after its row is locked.

    The rule by which it had paused itself counts anew from here.
    """
    stopped = Stopped.stored(connection.execute(sa.select(runs.c.stopped).where(runs.c.id == run_id)).scalar())
    if stopped.stop is None:
        return
    rule = stopped.stop.parsed
    counted = _counted(connection, run_id)
    since = {**stopped.since, str(rule): (_part(connection, run_id, rule, counted), _whole(rule, counted))}
    stored = Stopped(since=since).model_dump_json()
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(stopped=stored))


def _share(
    connection: sa.Connection, run_id: RunId, rule: StopRule, counted: dict[str, int], stopped: Stopped
) -> Share | None:
    part, whole = stopped.since.get(str(rule), (0, 0))
    more = _whole(rule, counted) - whole
    if more < FEWEST_ITEMS:
        return None
    return rule.broken_by(_part(connection, run_id, rule, counted) - part, more)


def _part(connection: sa.Connection, run_id: RunId, rule: StopRule, counted: dict[str, int]) -> int:
    if rule.is_flag:
        query = sa.select(flag_counters.c["items"]).where(flag_counters.c.run_id == run_id)
        return connection.execute(query.where(flag_counters.c.flag == rule.about)).scalar() or 0
    if rule.reason is None:
        return counted[rule.about]
    query = sa.select(sa.func.count()).select_from(results)
    query = query.where(results.c.run_id == run_id, results.c.status.in_(rule.statuses))
    return connection.execute(query.where(results.c.reason == rule.reason)).scalar_one()


def _counted(connection: sa.Connection, run_id: RunId) -> dict[str, int]:
    query = sa.select(run_counters.c.status, run_counters.c["items"]).where(run_counters.c.run_id == run_id)
    return _filled(dict(connection.execute(query).all()))


def _filled(counters: dict[str, int]) -> dict[str, int]:
    return {SUBMITTED: 0, **dict.fromkeys(map(str, Status), 0), **counters}


def _ended(counted: dict[str, int]) -> int:
    return sum(counted[status] for status in Status)


def _whole(rule: StopRule, counted: dict[str, int]) -> int:
    return counted[Status.OK] + counted[Status.NONCOMPLIANT] if rule.of_answers else _ended(counted)
