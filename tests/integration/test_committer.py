"""Commits that go wrong, on real databases."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from persqa.errors import RowRefused, StoreUnavailable
from persqa.items import ItemId
from persqa.results import Outcome, Status
from persqa.settings import load_settings
from tests.integration.test_store import a_stored_run
from tests.support.builders import an_item, an_outcome
from tests.support.wait import wait_until
from worker.committer import Committer
from worker.process.condition import CONDITION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persqa.store import Store
    from persqa.store.results import Results


class Failing:
    """A results table that fails as told, and is the real one otherwise."""

    def __init__(self, results: Results, *, outages: int = 0, refuses: ItemId | None = None) -> None:
        self._results = results
        self.outages = outages
        self._refuses = refuses

    def commit(self, outcomes: Sequence[Outcome]) -> set[ItemId]:
        if self.outages:
            self.outages -= 1
            raise StoreUnavailable("gone, as told")
        if any(o.result.item_id == self._refuses and o.result.status is not Status.DEAD for o in outcomes):
            raise RowRefused("refused, as told")
        return self._results.commit(outcomes)


def commit_all(results: object, outcomes: list[Outcome], stop: threading.Event | None = None) -> None:
    async def main() -> None:
        settings = load_settings(commit_items=64, commit_seconds=0.05)
        committer = Committer(results, settings, stop=stop or threading.Event())  # pyrefly: ignore[bad-argument-type]
        try:
            await asyncio.gather(*(committer.commit(outcome) for outcome in outcomes))
        finally:
            committer.close()

    asyncio.run(main())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_another_program_has_locked_is_told_of_before_it_fails(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.process.condition._SLOW_SECONDS", 0.2)
    run, batch = a_stored_run(store, 1)
    with closing(sqlite3.connect(tmp_path / "persqa.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        committing = threading.Thread(target=commit_all, args=(store.results, [an_outcome(batch[0])]))
        committing.start()
        try:
            wait_until(lambda: CONDITION.hindrances != (), describe="it is said", seconds=10)
            assert "another program has locked it" in CONDITION.hindrances[0].sentence
        finally:
            other.execute("ROLLBACK")
            committing.join()
    assert CONDITION.hindrances == ()
    assert store.queries.progress(run.id).pending == 0


def test_one_row_that_cannot_be_stored_ends_as_dead_and_its_63_neighbours_are_stored(store: Store) -> None:
    run, batch = a_stored_run(store, 64)
    failing = Failing(store.results, refuses=batch[17].id)
    commit_all(failing, [an_outcome(item) for item in batch])
    assert store.queries.progress(run.id).ended == {**dict.fromkeys(Status, 0), Status.OK: 63, Status.DEAD: 1}
    (dead,) = store.queries.pairs(run, status="dead")
    assert (dead.position, dead.reason, dead.detail) == (17, "unstorable", "refused, as told")


def test_a_result_of_an_unknown_item_is_dropped_with_a_word_and_the_others_are_stored(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    run, batch = a_stored_run(store, 5)
    with caplog.at_level(logging.ERROR):
        commit_all(store.results, [an_outcome(item) for item in [*batch, an_item(run.id, 99)]])
    assert store.queries.progress(run.id).ended[Status.OK] == 5
    assert "item 10000000099 is not in the ledger" in caplog.text


def test_an_outage_is_waited_out(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    run, batch = a_stored_run(store, 3)
    failing = Failing(store.results, outages=2)
    commit_all(failing, [an_outcome(item) for item in batch])
    assert failing.outages == 0
    assert store.queries.progress(run.id).pending == 0
    assert "nothing is lost" in caplog.text


def test_a_worker_that_stops_does_not_wait_for_ever(store: Store) -> None:
    _, batch = a_stored_run(store, 1)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoreUnavailable):
        commit_all(Failing(store.results, outages=1), [an_outcome(batch[0])], stop)
