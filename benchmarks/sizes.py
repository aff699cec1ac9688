"""Whether an item costs the same in a large run as in a small one, whatever is done with it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measuring import Pair, in_turn, seconds_of, steady_rate
from benchmarks.site import Site, one_small_image
from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.results import Outcome, Result, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.items import Item
    from producer import RunHandle

#: Items that are taken back and answered by a worker, a third of them at a time.
_TAKEN_BACK = (Status.DEAD, Status.NONCOMPLIANT, Status.INVALID)
_LOOKS = 50


@dataclass(frozen=True, slots=True)
class _Side:
    """A site with one run to look at."""

    site: Site
    run: RunHandle

    @property
    def items(self) -> int:
        return self.run.run.items


def large_against_small(*, large: int, small: int) -> dict[str, list[Pair]]:
    """Seconds that an item of a large run costs beside one of a small run, by what is done with it.

    `status` is in seconds a look, for the whole run.
    """
    settings: dict[str, object] = {"engine": "benchmarks.engines:InstantEngine", "queue_bound": 2 * large}
    with Site(**settings) as far_site, Site(**settings) as near_site:
        smaller = one_small_image(near_site.folder, small)
        larger = one_small_image(far_site.folder, large)
        before, _ = _submitted(lambda: near_site.submit(smaller))
        whole, far_run = _submitted(lambda: far_site.submit(larger))
        after, near_run = _submitted(lambda: near_site.submit(smaller))
        far, near = _Side(far_site, far_run), _Side(near_site, near_run)
        for side in (far, near):
            _end_all(side, taken_back=small)
            side.site.worker()
        statuses = iter([status for status in _TAKEN_BACK for _ in range(2)])

        def turns(cost: Callable[[_Side], float]) -> list[Pair]:
            return in_turn(lambda: cost(far), lambda: cost(near), pairs=len(_TAKEN_BACK))

        return {
            "submit": [Pair(whole / large, seconds / small) for seconds in (before, after)],
            "worker": turns(lambda side: _answer(side, next(statuses))),
            "audit": turns(lambda side: seconds_of(lambda: side.site.check(side.run)) / side.items),
            "export": turns(_export),
            # At the end: the rate of the last minute is part of it, and nothing ends items as fast as `_end_all`.
            "status": in_turn(lambda: _look(far), lambda: _look(near), pairs=3),
        }


def _submitted(submit: Callable[[], RunHandle]) -> tuple[float, RunHandle]:
    runs: list[RunHandle] = []
    seconds = seconds_of(lambda: runs.append(submit()))
    return seconds, runs[0]


def _end_all(side: _Side, *, taken_back: int) -> None:
    """Give every item a result, as workers would have done it by now."""
    connect(side.site.broker.url).delete(QUEUE)
    last = iter(status for status in _TAKEN_BACK for _ in range(taken_back // len(_TAKEN_BACK)))
    left = side.items
    for chunk in side.site.client.store.ledger.pending(side.run.run.id):
        outcomes: list[Outcome] = []
        for item in chunk:
            status = next(last, Status.OK) if left <= taken_back else Status.OK
            outcomes.append(Outcome(_result(item, status)))
            left -= 1
        side.site.client.store.results.commit(outcomes)


def _result(item: Item, status: Status) -> Result:
    return Result(
        item_id=item.id,
        run_id=item.run_id,
        status=status,
        answer=f"<mam> has number {item.id}.",
        generations=1,
        worker="benchmark",
        model="instant",
    )


def _answer(side: _Side, status: Status) -> float:
    """Take back what has this status, and let the worker answer it."""
    before = side.run.progress().ended[Status.OK]
    taken = side.run.requeue(status, sure=True).taken_back
    rate = steady_rate(lambda: side.run.progress().ended[Status.OK] - before, taken, timeout_seconds=300)
    return 1 / rate


def _export(side: _Side) -> float:
    written: list[int] = []
    seconds = seconds_of(lambda: written.append(side.run.export(side.site.folder / "out.jsonl", overwrite=True)))
    assert written == [side.items]
    return seconds / side.items


def _look(side: _Side) -> float:
    def look() -> None:
        side.run.progress()
        side.run.rate()
        side.run.depth()

    return statistics.median(seconds_of(look) for _ in range(_LOOKS))
