"""A batch is enqueued when there is room, where the run's messages go by then, and is marked before it is sent."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE, queue_for
from persqa.broker.publisher import Publisher
from persqa.enqueueing import enqueue
from persqa.errors import BrokerUnavailable, RunStopped
from persqa.runs import Priority, RunState
from persqa.store import Store
from tests.support.builders import a_stored_run
from tests.support.databases import with_tables

if TYPE_CHECKING:
    from collections.abc import Generator

    import redis

HIGH = queue_for(None, Priority.HIGH)


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with closing(Store.open(with_tables(tmp_path / "x.db"))) as opened:
        yield opened


@pytest.fixture
def publisher(broker_url: str, store: Store) -> Generator[Publisher]:
    """Into a queue that may hold ten."""
    with closing(Publisher(broker_url, ledger=store.ledger.id, queue_bound=10)) as opened:
        yield opened


@pytest.fixture
def client(broker_url: str) -> Generator[redis.Redis]:
    with closing(connect(broker_url)) as opened:
        yield opened


def never() -> None:
    raise AssertionError("there is room")


def test_a_full_queue_is_waited_for(store: Store, publisher: Publisher, client: redis.Redis) -> None:
    run, items = a_stored_run(store, 15)
    enqueue(store, publisher, run, items[:10], on_full=never, up_to=items[9].id)
    seen: list[tuple[int, int]] = []

    def on_full() -> None:
        seen.append((client.llen(QUEUE), store.runs.reread(run).published_to))
        client.rpop(QUEUE, 2)

    enqueue(store, publisher, run, items[10:], on_full=on_full, up_to=items[14].id)
    assert seen == [(waiting, items[9].id) for waiting in (10, 8, 6)], "nothing is marked while it waits"
    assert (client.llen(QUEUE), store.runs.reread(run).published_to) == (9, items[14].id)


def test_a_full_memory_is_waited_for(store: Store, publisher: Publisher, client: redis.Redis) -> None:
    run, items = a_stored_run(store, 10)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    told: list[int] = []

    def on_full() -> None:
        told.append(client.llen(QUEUE))
        if len(told) == 2:
            client.config_set("maxmemory", 0)

    enqueue(store, publisher, run, items, on_full=on_full, up_to=items[9].id)
    assert (told, client.llen(QUEUE)) == ([0, 0], 10)


def test_where_to_is_asked_anew_while_it_waits(store: Store, publisher: Publisher, client: redis.Redis) -> None:
    run, items = a_stored_run(store, 20)
    enqueue(store, publisher, run, items[:10], on_full=never, up_to=items[9].id)
    enqueue(
        store, publisher, run, items[10:], on_full=lambda: store.runs.set_priority(run, Priority.HIGH), up_to=None
    )  # fmt: skip
    assert (client.llen(QUEUE), client.llen(HIGH)) == (10, 10)


def test_a_run_that_is_paused_meanwhile_gets_nothing_more(
    store: Store, publisher: Publisher, client: redis.Redis
) -> None:
    run, items = a_stored_run(store, 20)

    def pause() -> None:
        store.runs.set_state(run, RunState.PAUSED)

    enqueue(store, publisher, run, items[:10], on_full=never, up_to=items[9].id)
    with pytest.raises(RunStopped, match="is paused"):
        enqueue(store, publisher, run, items[10:], on_full=pause, up_to=items[19].id)
    assert client.llen(QUEUE) == 10
    assert store.runs.reread(run).published_to < items[0].id, "nothing of a paused run counts as enqueued"


def test_what_could_not_be_sent_is_marked_and_so_looked_for(
    store: Store, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BrokerUnavailable("its connection is lost, as patched")

    monkeypatch.setattr(Publisher, "push", refuse)
    run, items = a_stored_run(store, 3)
    with pytest.raises(BrokerUnavailable):
        enqueue(store, publisher, run, items, on_full=never, up_to=items[2].id)
    assert store.runs.reread(run).published_to == items[2].id
