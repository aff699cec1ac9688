"""One decision about many items, made in steps beside others who ask again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from persqa.items import ItemId
from persqa.results import Outcome, Result, Status
from persqa.reviews import Decision
from persqa.runs import Run
from persqa.settings import load_settings
from producer import Client
from producer.web.batches import Batch, Batches
from tests.support.shown_runs import a_shown_run
from tests.support.wait import wait_until


@pytest.fixture
def client(database_url: str, tmp_path: Path) -> Iterator[Client]:
    with Client(load_settings(database_url=database_url), local_worker=False) as client:
        a_shown_run(client, tmp_path / "data", pending=0)
        yield client


def ended(batches: Batches, batch: Batch) -> Batch:
    """The batch once it is over."""
    batches.begin(batch)
    batches.begin(batch)
    wait_until(lambda: batch.is_ended, describe="the batch has ended")
    return batch


def test_all_that_was_shown_is_decided_and_nothing_that_came_later(client: Client) -> None:
    run = client.run("portraits")
    told = list[ItemId]()

    def tell(_run: Run, items: Sequence[ItemId]) -> None:
        told.extend(items)

    batches = Batches(client.store, tell)
    items = [row.item_id for row in run.results(status="ok")]
    batch = batches.prepare(run.run, Decision.ACCEPTED, items, reviewer="Ann")
    assert batches.find(run.run, batch.action) is batch
    assert batches.find(run.run, "another") is None

    # Somebody asks two of them again, and only one has an answer by now.
    run.requeue(items=items[:2])
    result = Result(item_id=ItemId(items[0]), run_id=run.run.id, status=Status.OK, answer="<mam> is another one.")
    client.store.results.commit([Outcome(result)])
    ended(batches, batch)
    assert (batch.tried, batch.changed, batch.trouble) == (len(items), len(items) - 2, None)
    assert sorted(told) == sorted(items[2:])
    reviews = client.store.reviews.of(map(ItemId, items))
    assert {review.decision for review in reviews.values()} == {Decision.ACCEPTED}
    assert sorted(client.store.reviews.undo(run.run.id, batch.action)) == sorted(items[2:])
    batches.close()


def test_what_nobody_has_begun_is_forgotten_in_time(client: Client) -> None:
    run = client.run("portraits").run
    batches = Batches(client.store, lambda _run, _items: None)
    asked = [batches.prepare(run, Decision.REJECTED, [1, 2], reviewer="Ann") for _ in range(5)]
    assert [batches.find(run, batch.action) is not None for batch in asked] == [False, False, False, True, True]
    batches.close()


def test_a_database_that_fails_is_told(client: Client, tmp_path: Path) -> None:
    run = client.run("portraits").run
    with Client(load_settings(database_url=f"sqlite:///{tmp_path}"), local_worker=False) as other:
        batches = Batches(other.store, lambda _run, _items: None)
        batch = ended(batches, batches.prepare(run, Decision.REJECTED, [1, 2], reviewer="Ann"))
        batches.close()
    assert batch.trouble is not None
    assert str(tmp_path) in batch.trouble
    assert batch.tried == 0
