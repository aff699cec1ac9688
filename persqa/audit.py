"""The audit: submitted = ok + noncompliant + invalid + dead + pending, and nothing pending is lost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from persqa.broker.keys import places_for
from persqa.items import ItemId
from persqa.messages import task_id
from persqa.results import Status
from persqa.runs import RunState
from persqa.words import counted, to_type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from persqa.broker.depth import Inspector
    from persqa.progress import Census, Progress
    from persqa.runs import Run
    from persqa.store import Store

#: Said of what is looked for at a broker that does not have it.
ELSEWHERE: Final = "enqueued at another broker; submit it again here, or name that one"
#: Most items that a problem names.
_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The audit of one run.

    Attributes:
        queue_checked: whether the pending items were looked for in Redis.
        problems: what is wrong, a sentence each.
    """

    run: Run
    census: Census
    queue_checked: bool
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every item is accounted for."""
        return not self.problems


def audit(store: Store, run: Run, inspector: Inspector | None) -> Audit:
    """Count all rows of the run, and look for each pending item in Redis if a broker is known.

    Raises:
        StoreUnavailable: the database does not answer.
        BrokerUnavailable: Redis does not answer.
    """
    census = store.queries.census(run.id, strays=_NAMED)
    if store.runs.reread(run).deleting:
        problems = [
            f"it is being deleted, {census.rows.submitted} items are left: {to_type(f'persqa delete {run.name}')}"
        ]
        return Audit(run=run, census=census, queue_checked=False, problems=tuple(problems))
    problems = list(_sums(run, census))
    if inspector is not None and (lost := _lost(store, run, inspector)):
        problems.append(_where(len(lost), store.runs.reread(run), inspector) + f": {_names(lost)}")
    return Audit(run=run, census=census, queue_checked=inspector is not None, problems=tuple(problems))


def _where(lost: int, run: Run, inspector: Inspector) -> str:
    if run.broker in (None, inspector.known_identity()):
        return counted(lost, "pending item is", "pending items are") + " in no queue and with no worker"
    were = counted(lost, "pending item was", "pending items were")
    return f"{were} {ELSEWHERE}"


def _sums(run: Run, census: Census) -> Iterator[str]:
    rows = census.rows
    # To an open run others may have added since it was read.
    if rows.submitted != run.items and not run.grows:
        all_items = counted(run.items, "item")
        yield f"the ledger has {rows.submitted} of {all_items}: the submit was interrupted, submit again"
    if rows.pending != census.pending:
        sums = f"{counted(rows.submitted, 'item')} - {counted(sum(rows.ended.values()), 'result')}"
        yield f"{sums}, but {counted(census.pending, 'is', 'are')} pending"
    if rows != census.counters:
        yield (
            f"the counters and the rows differ: {', '.join(_differing(census.counters, rows))}. That is a defect, and "
            "nothing mends it by itself: submit nothing more, keep copies of the database and the logs, and report it"
        )
    if census.strays:
        yield f"results without an item of this run: {_names(census.strays)}"


def _differing(counters: Progress, rows: Progress) -> Iterator[str]:
    """As in `ok 5 by the counters and 3 by the rows`, for each number that differs."""
    numbers = {"submitted": (counters.submitted, rows.submitted)}
    numbers |= {status: (counters.ended[status], rows.ended[status]) for status in Status}
    numbers |= {"pending": (counters.pending, rows.pending)}
    for name, (counter, row) in numbers.items():
        if counter != row:
            yield f"{name} {counter} by the counters and {row} by the rows"


def _lost(store: Store, run: Run, inspector: Inspector) -> set[ItemId]:
    """The pending items that were enqueued and are in no queue.

    Those behind the run's mark wait for room there. A paused or cancelled run has none in a queue.
    """
    ledger, mark = store.ledger.id, store.runs.reread(run).published_to
    missing = set(takewhile(lambda item_id: item_id <= mark, store.ledger.pending_ids(run.id)))
    # A message that moves during the look can be missed once, but not twice.
    for _ in range(2):
        if not missing or store.runs.reread(run).state is not RunState.ACTIVE:
            return set()
        there = inspector.task_ids(*places_for(ledger, run.options.model))
        missing = {item_id for item_id in missing if task_id(ledger, item_id) not in there}
    # Some may have ended meanwhile.
    return missing - store.results.ended(missing)


def _names(item_ids: Collection[int]) -> str:
    named = sorted(item_ids)[:_NAMED]
    return ", ".join(str(item_id) for item_id in named) + (" ..." if len(item_ids) > len(named) else "")
