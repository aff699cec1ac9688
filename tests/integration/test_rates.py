"""How fast a run is: one number, whoever says it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from persqa.clock import now
from persqa.pairs import Choice
from persqa.reasons import Reason
from persqa.results import Outcome, Result, Status
from persqa.runs import RunState
from tests.support.builders import a_stored_run, an_outcome

if TYPE_CHECKING:
    from persqa.items import Item
    from persqa.runs import Run
    from persqa.store import Store


def _end(store: Store, items: list[Item], *, at: datetime, took: float = 0.0) -> None:
    """Answer items that were begun so many seconds before they ended."""
    times: dict[str, Any] = {"finished_at": at, "image_seconds": took / 4, "engine_seconds": took * 3 / 4}
    store.results.commit([an_outcome(item, **times) for item in items])


def _both(store: Store, run: Run) -> float | None:
    """The present rate, alone and among those of all runs."""
    found = store.rates.of(run.id)
    # The clock goes on between the two.
    assert store.rates.present().get(run.id) == (None if found is None else pytest.approx(found, rel=0.1))
    return found


def test_the_time_counts_from_when_the_first_item_was_begun(store: Store) -> None:
    run, batch = a_stored_run(store, 50)
    ago = now() - timedelta(seconds=6)

    def seconds() -> float:
        return 4 + (now() - ago).total_seconds()

    # One transaction brings twelve, on which the engine worked for four seconds; nothing else has come since.
    _end(store, batch[:12], at=ago, took=4)
    assert _both(store, run) == pytest.approx(12 / seconds(), rel=0.1)
    _end(store, batch[12:20], at=ago + timedelta(seconds=6), took=1)
    assert _both(store, run) == pytest.approx(20 / seconds(), rel=0.1)


def test_only_the_last_minute_counts_at_present(store: Store) -> None:
    run, batch = a_stored_run(store, 50)
    _end(store, batch[:30], at=now() - timedelta(minutes=10), took=5)
    assert _both(store, run) is None, "nothing comes"
    _end(store, batch[30:45], at=now() - timedelta(seconds=1), took=300)
    assert _both(store, run) == pytest.approx(15 / 60, rel=0.1)


def test_a_rate_vanishes_when_nothing_has_come_for_longer_than_items_take(store: Store) -> None:
    run, batch = a_stored_run(store, 50)
    ago = now() - timedelta(seconds=15)
    _end(store, batch[:12], at=ago, took=2)
    assert _both(store, run) is None, "the disk is full, or the worker gone"
    slow, items = a_stored_run(store, 50, "slow")
    _end(store, items[:3], at=ago, took=20)
    assert _both(store, slow) == pytest.approx(3 / 35, rel=0.1), "each takes that long"
    steady, items = a_stored_run(store, 50, "steady")
    for number in range(3):
        _end(store, items[number : number + 1], at=ago - timedelta(seconds=18 * number), took=1)
    assert _both(store, steady) == pytest.approx(3 / 52, rel=0.1), "they come seldom"


def test_a_burst_is_no_speed(store: Store) -> None:
    run, batch = a_stored_run(store, 50)
    _end(store, batch[:12], at=now())
    assert _both(store, run) == pytest.approx(12, rel=0.1)
    assert store.rates.of(run.id, since=now() - timedelta(hours=1)) == 12


@pytest.mark.parametrize("state", [RunState.PAUSED, RunState.CANCELLED, RunState.DONE, None])
def test_what_does_not_run_has_no_rate(store: Store, state: RunState | None) -> None:
    run, batch = a_stored_run(store, 2)
    if state is None:
        assert _both(store, run) is None, "nothing has begun"
        return
    _end(store, batch[:1], at=now())
    assert _both(store, run) is not None
    if state is RunState.DONE:
        _end(store, batch[1:], at=now())
    else:
        store.runs.set_state(run, state)
    assert store.queries.progress(run.id).state is state
    assert _both(store, run) is None


def test_of_a_run_that_is_done_the_rate_since_its_start_ends_with_its_last_item(store: Store) -> None:
    run, batch = a_stored_run(store, 30)
    started = now() - timedelta(minutes=30)
    # What an earlier program has answered, and this one.
    _end(store, batch[:10], at=started - timedelta(hours=1), took=10)
    _end(store, batch[10:20], at=started + timedelta(seconds=40), took=10)
    _end(store, batch[20:], at=started + timedelta(seconds=70), took=10)
    assert store.rates.of(run.id, since=started) == pytest.approx(20 / 40)
    assert store.rates.of(run.id, since=now()) is None


def test_records_that_are_wrong_in_themselves_are_no_speed(store: Store) -> None:
    run, batch = a_stored_run(store, 50)
    wrong = [
        Result(item_id=item.id, run_id=run.id, status=Status.INVALID, reason=Reason.BAD_IMAGE_FIELD)
        for item in batch[:40]
    ]
    store.results.commit([Outcome(result) for result in wrong])
    assert _both(store, run) is None
    # A worker has found this one to be so.
    store.results.commit([an_outcome(batch[40], Status.INVALID, generations=0, answer=None)])
    assert _both(store, run) == pytest.approx(1, rel=0.1)


def test_an_item_that_is_asked_again_makes_its_run_active_again(store: Store) -> None:
    run, batch = a_stored_run(store, 2)
    _end(store, batch, at=now())
    assert store.queries.progress(run.id).state is RunState.DONE
    assert store.queries.progresses()[run.id].state is RunState.DONE
    assert [one.progress.state for one in store.queries.overview(unfinished=1, newest=1)] == [RunState.DONE]
    assert store.runs.reread(run).state is RunState.ACTIVE, "what follows from the counts is not stored"
    store.ledger.reopen(run.id, Choice(status=Status.OK))
    assert store.queries.progress(run.id).state is RunState.ACTIVE


def test_a_run_whose_ledger_is_being_written_is_not_done(store: Store) -> None:
    run, batch = a_stored_run(store, 4)
    unfinished = store.runs.create(
        "u", options=run.options, pool_digest="p", fingerprint="g", base="/data", item_count=8
    )
    assert store.queries.progress(unfinished.id).state is RunState.ACTIVE
    _end(store, batch, at=now())
    assert store.queries.progress(run.id).state is RunState.DONE
