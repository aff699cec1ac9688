"""The counters in `run_counters`: changed in the same transaction as the rows they count."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.progress import Progress
from persqa.results import Status
from persqa.runs import RunId, RunState
from persqa.stop_rules import Stopped
from persqa.store.schema import run_counters, runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persqa.store.database import Database

#: The counter of all items of a run; there is another one for each status.
SUBMITTED = "submitted"

#: The number of items without a result; for queries that group the counters by run.
PENDING_ITEMS = sa.func.sum(
    sa.case((run_counters.c.status == SUBMITTED, run_counters.c["items"]), else_=-run_counters.c["items"])
)


def count(database: Database, connection: sa.Connection, changes: Counter[tuple[int, str]]) -> None:
    """Add to the counters, by run and status; call it last in a transaction, since others wait for the commit.

    Whoever counts something of a run is alone in that until then: each takes the counter of all items first.
    """
    rows = {(run_id, SUBMITTED): 0 for run_id, _ in changes} | changes
    # By run in key order, against deadlocks.
    ordered = sorted(rows.items(), key=lambda row: (row[0][0], row[0][1] != SUBMITTED, row[0][1]))
    _add(database, connection, run_counters.c.status, ordered)


def add_up(
    database: Database, connection: sa.Connection, word: sa.Column[str], changes: Counter[tuple[int, str]]
) -> None:
    """Add to the counters of the table of a column, by run and the words of that column."""
    # In key order, against deadlocks.
    _add(database, connection, word, sorted((key, number) for key, number in changes.items() if number))


def _add(
    database: Database,
    connection: sa.Connection,
    word: sa.Column[str],
    changes: Sequence[tuple[tuple[int, str], int]],
) -> None:
    table = word.table
    rows = [{"run_id": run_id, word.name: value, "items": number} for (run_id, value), number in changes]
    if rows:
        insert = database.insert(table)
        total = table.c["items"] + insert.excluded["items"]
        keys = [table.c.run_id, word]
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_={"items": total}), rows)


def progress_of(
    counts: Mapping[str | None, int],
    state: str = RunState.ACTIVE,
    whole: int = 0,
    stopped: str | None = None,
    is_open: bool | None = None,
) -> Progress:
    """The counts; the others are those of the row in `runs`, `whole` the number of all items."""
    submitted = counts.get(SUBMITTED, 0)
    ended = {status: counts.get(status, 0) for status in Status}
    # While the ledger is being written, all that is there so far may have a result.
    done = submitted == sum(ended.values()) and submitted >= whole
    found = RunState(state)
    if done and not is_open:
        found = RunState.DONE
    elif done and found is RunState.ACTIVE:
        found = RunState.OPEN
    stop = Stopped.stored(stopped).stop if found is RunState.PAUSED else None
    return Progress(submitted=submitted, ended=ended, state=found, stop=stop)


def progresses(connection: sa.Connection, which: sa.ColumnElement[bool]) -> dict[RunId, Progress]:
    """The progress of the runs that this is true of."""
    counted = sa.select(
        runs.c.id,
        runs.c.state,
        runs.c["items"],
        runs.c.stopped,
        runs.c.open,
        run_counters.c.status,
        run_counters.c["items"].label("number"),
    )
    states = dict[RunId, tuple[str, int, str | None, bool | None]]()
    counts = defaultdict[RunId, dict[str | None, int]](dict)
    for run_id, *of_run, status, number in connection.execute(
        counted.select_from(runs.outerjoin(run_counters)).where(which)
    ):
        state, whole, stopped, is_open = of_run
        states[run_id] = state, whole, stopped, is_open
        counts[run_id][status] = number
    return {run_id: progress_of(counts[run_id], *states[run_id]) for run_id in states}
